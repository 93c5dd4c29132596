"""Levels above persons, on a small town told by hand and delivered in three nights and in one."""

from __future__ import annotations

import csv
import os
import shutil
from pathlib import Path

import duckdb
import pytest
import yaml

from dagster_project.settings import DBT_DIR
from tests.children import run_in_child
from tests.nights import differences, live_through
from tests.story import Story, Told, at

NIGHTS = ["2026-03-05", "2026-03-12", "2026-03-20"]


class Town:
    """The exports of one night."""

    def __init__(self, day: str) -> None:
        self.day = day
        self.story = Story()
        self.story.calls = int(day[-2:]) * 100
        self.sheets: dict[str, list[dict[str, str]]] = {"hubspot/contacts": [], "hubspot/companies": []}

    def contact(self, user: str, name: str, home: str = "", *, company: str = "") -> None:
        """A contact ``First Last`` at ``street, postcode``."""
        first, last = name.split()
        street, _, postcode = home.partition(", ")
        self.sheets["hubspot/contacts"].append(
            {
                "Record ID": f"1{sum(user.encode())}",
                "First Name": first,
                "Last Name": last,
                "External user ID": user,
                "Street Address": street,
                "Postal Code": postcode,
                "Associated Company IDs": company,
                "Create Date": "2026-03-01 09:00",
                "Last Modified Date": f"{self.day} 06:00",
            }
        )

    def company(self, record: str, domain: str) -> None:
        self.sheets["hubspot/companies"].append(
            {
                "Record ID": record,
                "Company Domain Name": domain,
                "Create Date": "2026-03-01 09:00",
                "Last Modified Date": f"{self.day} 06:00",
            }
        )

    def write(self, inbox: Path) -> None:
        self.story.write(inbox)
        for path in inbox.rglob("2026-03-30.*"):
            path.rename(path.with_name(path.name.replace("2026-03-30", self.day)))
        for table, rows in self.sheets.items():
            if rows:
                (inbox / table).mkdir(parents=True, exist_ok=True)
                with (inbox / table / f"{self.day}.csv").open("w", newline="") as file:
                    writer = csv.DictWriter(file, rows[0])
                    writer.writeheader()
                    writer.writerows(rows)


def tell(inbox: Path) -> None:
    first, second, third = (Town(day) for day in NIGHTS)

    # The Falks share a sofa tablet, before anybody logs in on it too. Pia Falk lives next door.
    page, track = first.story.page, first.story.track
    page(at("2 08:00"), device="sofa", message="sofa-nobody")
    track("Feature Used", at("2 09:00"), device="sofa", user="nora")
    page(at("2 09:10"), device="sofa", message="sofa-nora")
    track("Feature Used", at("2 12:00"), device="sofa", user="otto", message="otto-last")
    first.contact("nora", "Nora Falk", "12 Elm Road, 1000")
    first.contact("pia", "Pia Falk", "14 Elm Road, 1000")
    second.contact("otto", "Otto Falk", "12 Elm Raod, 1000")
    # Two of one surname wrote their street with two slips between them, until a third spelling stands between.
    first.contact("ruth", "Ruth Abel", "7 Birch Lane, 2000")
    first.contact("saul", "Saul Abel", "7 Brich Lnae, 2000")
    third.contact("tina", "Tina Abel", "7 Brich Lane, 2000")
    # Rudi moves in the second week, from his parents to his friend of another name.
    first.contact("rudi", "Rudi Kern", "3 Oak Street, 3000")
    first.contact("anna", "Anna Kern", "3 Oak St., 3000")
    second.contact("rudi", "Rudi Kern", "9 Ash Street, 3000")
    # Hugo refuses analytics; he lives with his sister.
    first.contact("hugo", "Hugo Lund", "5 Elm Road, 1000")
    first.contact("inga", "Inga Lund", "5 Elm Road, 1000")
    second.story.page(at("10 10:00"), device="dev-hugo", user="hugo", consent={"Analytics": False})
    for user in ("pia", "ruth", "saul", "rudi", "anna", "hugo", "inga"):
        page(at("3 10:00"), device=f"dev-{user}", user=user, message=f"{user}-page")

    # A counter in the office: Carl is the CRM's contact at the company, Dana has a mailbox there. That company 700 and
    # the domain are one is told in the second week. Emma has free mail and shares her tablet with Carl.
    for device, users in (("counter", ("carl", "dana")), ("tablet", ("carl", "emma"))):
        page(at("4 08:00"), device=device, message=f"{device}-nobody")
        for hour, user in enumerate(users):
            track("Feature Used", at(f"4 {9 + hour:02}:00"), device=device, user=user, message=f"{device}-{user}")
    first.contact("carl", "Carl Mohr", company="700")
    first.story.mail("delivered", at("4 07:00"), address="Dana@Acme.Example", user="dana")
    first.story.mail("delivered", at("4 07:00"), address="emma@gmail.com", user="emma")
    first.story.mail("delivered", at("4 07:00"), address="info@acme.example")
    first.story.mail("delivered", at("4 07:01"), address="info@gmail.com")
    second.company("700", "https://www.ACME.example/")
    # Somebody unknown in a workspace.
    third.story.page(at("18 10:00"), device="dev-guest", message="guest-page")
    third.story.lines["segment/pages"][-1]["context"]["groupId"] = "w1"

    for town in (first, second, third):
        town.write(inbox)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("levels")
    tell(folder / "exports")
    for name, nights in (("nights", NIGHTS), ("whole", NIGHTS[-1:])):
        live_through(folder / "exports", folder / name, nights, THROUGHLINE_KEY_FILE=str(folder / "key"))
    return folder


@pytest.fixture(scope="module")
def town(folder: Path) -> Told:
    (folder / "whole" / "data" / "key").write_bytes((folder / "key").read_bytes())
    return Told(folder / "whole" / "data")


LEVEL = "identity_tier, household_id is not null, account_key is not null, person_id is not null"


def home(town: Told, user: str) -> str | None:
    found = town.rows("select distinct household_id from identity.households where person_id = ?", town.person(user))
    return found[0][0] if found else None


def account(town: Told, user: str) -> str | None:
    found = town.rows("select distinct account_key from identity.accounts where person_id = ?", town.person(user))
    return found[0][0] if found else None


def test_three_nights_equal_one(folder: Path) -> None:
    assert differences(folder / "nights" / f"{NIGHTS[-1]}.duckdb", folder / "whole" / f"{NIGHTS[-1]}.duckdb") == {}


def test_who_lives_together(town: Told) -> None:
    assert home(town, "nora") == home(town, "otto") is not None
    assert home(town, "pia") not in (None, home(town, "nora"))
    assert home(town, "ruth") == home(town, "saul") == home(town, "tina") is not None
    assert home(town, "inga") is not None
    assert (home(town, "hugo"), home(town, "carl")) == (None, None)


def test_who_moves_lives_where_the_latest_record_says(town: Told) -> None:
    assert home(town, "rudi") not in (None, home(town, "anna"))
    assert town.rows(
        "select known_from::varchar from identity.households where person_id = ?", town.person("rudi")
    ) == [("2026-03-12 23:59:59.999999",)]


def test_a_spelling_in_between_makes_one_household_of_two(folder: Path, town: Told) -> None:
    """Neither Ruth's nor Saul's component has any news in the third night; their events follow all the same."""
    for night, homes in ((NIGHTS[1], 2), (NIGHTS[2], 1)):
        with duckdb.connect(str(folder / "nights" / f"{night}.duckdb"), read_only=True) as connection:
            assert connection.execute(
                "select count(distinct household_id) from timeline.customer_events where event_id in "
                "(select event_id from timeline.event_keys where event_key in ('ruth-page', 'saul-page'))"
            ).fetchall() == [(homes,)]


def test_nobody_on_a_familys_tablet_is_the_household(town: Told) -> None:
    assert town.event("sofa-nobody", LEVEL) == ("household", True, False, False)
    assert town.event("sofa-nobody", "household_id") == (home(town, "nora"),)
    assert town.event("sofa-nora", LEVEL) == ("probable", True, False, True)
    assert town.event("sofa-nora", "person_id") == (town.person("nora"),)


def test_nobody_at_the_companys_counter_is_the_account(folder: Path, town: Told) -> None:
    assert account(town, "carl") == account(town, "dana") is not None
    assert town.event("counter-nobody", f"{LEVEL}, account_key") == (
        "account",
        False,
        True,
        False,
        account(town, "carl"),
    )
    # Before the company's domain was known they were at two.
    with duckdb.connect(str(folder / "nights" / f"{NIGHTS[0]}.duckdb"), read_only=True) as connection:
        assert connection.execute(
            "select identity_tier from timeline.customer_events where event_id = "
            "(select event_id from timeline.event_keys where event_key = 'counter-nobody')"
        ).fetchall() == [(None,)]


def test_nobody_on_a_tablet_of_people_with_nothing_in_common_stays_nobody(town: Told) -> None:
    assert town.event("tablet-nobody", LEVEL) == (None, False, False, False)


def test_free_mail_is_no_account_and_a_roles_mailbox_is_its_companys(town: Told) -> None:
    assert account(town, "emma") is None
    assert town.rows(
        "select identity_tier, person_id, account_key from timeline.customer_events "
        "where starts_with(email, 'junk_') order by account_key nulls last"
    ) == [("account", None, account(town, "carl")), (None, None, None)]


def test_an_unknown_device_in_a_workspace_is_owned_by_the_account(town: Told) -> None:
    assert town.event("guest-page", LEVEL) == ("account", False, True, True)
    (person,) = town.event("guest-page", "person_id")
    assert town.one(
        "select identity_tier, account_key is not null from published.customers where person_id = ?", person
    ) == (
        "account",
        True,
    )


def test_events_that_no_person_owns_are_counted_as_such(town: Told) -> None:
    reason = "owned by no person, but by a household or an account"
    assert sorted(
        town.rows("select source, source_table, row_count from ops.dropped_rows where reason = ?", reason)
    ) == [("segment", "pages", 2), ("sendgrid", "events", 1)]


def test_without_consent_an_event_has_no_level(town: Told) -> None:
    assert town.event("hugo-page", LEVEL) == (None, False, False, False)


def test_published_customers_name_household_and_account(town: Told) -> None:
    asked = "select household_id, account_key from published.customers where person_id = ?"
    assert town.one(asked, town.person("nora")) == (home(town, "nora"), None)
    assert town.one(asked, town.person("dana")) == (None, account(town, "carl"))


def _stitch(project: Path, warehouse: Path) -> int:
    from dbt.cli.main import dbtRunner

    os.environ["THROUGHLINE_WAREHOUSE"] = str(warehouse)
    where = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(project / "target")]
    result = dbtRunner().invoke(["run", *where, "--quiet", "--full-refresh", "--select", "stitched_events"])
    for node in getattr(result.result, "results", []):
        print(node.message)
    return 0 if result.success else 1


def _project(folder: Path, shared_devices: str) -> Path:
    """A copy of the dbt project with another rule for shared devices."""
    shutil.copytree(DBT_DIR, folder, ignore=shutil.ignore_patterns("target", "logs"))
    settings = yaml.safe_load((folder / "dbt_project.yml").read_text())
    settings["vars"]["shared_devices"] = shared_devices
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(settings))
    return folder


def test_last_auth_gives_a_shared_devices_whole_past_to_who_came_last(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "whole" / "data" / "warehouse.duckdb", tmp_path / "warehouse.duckdb")
    done = run_in_child(_stitch, _project(tmp_path / "dbt", "last_auth"), tmp_path / "warehouse.duckdb")
    assert done.returncode == 0, done.stdout + done.stderr
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as connection:
        owners = connection.execute(
            """
            select event_key, identity_tier, person_id = (
                select person_id from timeline.stitched_events inner join timeline.event_keys using (event_id)
                where event_keys.event_key = 'otto-last'
            )
            from timeline.stitched_events where event_key in ('sofa-nobody', 'sofa-nora') order by event_key
            """
        ).fetchall()
    assert owners == [("sofa-nobody", "probable", True), ("sofa-nora", "probable", True)]


def test_another_rule_for_shared_devices_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "whole" / "data" / "warehouse.duckdb", tmp_path / "warehouse.duckdb")
    done = run_in_child(_stitch, _project(tmp_path / "dbt", "first_auth"), tmp_path / "warehouse.duckdb")
    assert done.returncode == 1
    assert "shared_devices is 'first_auth' but must be device_split or last_auth" in done.stdout
