"""Two worlds: one in which Paul was delivered and erased, one in which no row that names him ever was."""

from __future__ import annotations

import copy
import json
import random
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dagster_project import erasure
from dagster_project.errors import ThroughlineError
from dagster_project.landing.contracts import load_contracts
from dagster_project.landing.landing import open_landing
from dagster_project.publishing.postgres import PostgresReport
from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import open_warehouse, rewrite
from tests import story
from tests.children import run_in_child
from tests.conftest import AT_WORK, Demo, environment_of, throughline
from tests.nights import PLACES, differences, pin_models
from tests.story import Story, at

# What exports call Paul. His devices are no names: their anonymous rows are delivered in both worlds.
PAUL = {"paul", "paul@example.com", "Paul@Example.com", "cus_paul", 7, 70}
READABLE = ("paul@example.com", "Paul Erdmann", "Send it to the Erdmanns")
# What only the ledger's own counts can tell apart, and rows cut anew.
LEDGER = frozenset({"_row_number", "published.data_quality", "staging.arrivals"})


def tell() -> Story:
    """A few neighbours, and Paul, who has left a trace everywhere."""
    teller = Story()
    # Paul browses, signs up, comes back; all of it on a device of his own.
    teller.page(at("4 09:00"), device="dev-paul", message="paul-before", entry="paid search")
    teller.track("Signed Up", at("4 10:00"), device="dev-paul", user="paul", message="paul-signs")
    teller.track("Trial Started", at("4 10:05"), device="dev-paul", user="paul", message="paul-tries")
    teller.page(at("5 09:00"), device="dev-paul", message="paul-after")
    # Delivered twice: named, and later without a name. The second one stands when the first is gone.
    teller.page(at("5 10:00"), device="dev-paul", user="paul", message="paul-twice")
    teller.page(at("5 10:00"), device="dev-paul", message="paul-twice", received=at("6 10:00"))
    # The library's computer: nobody, Paul, nobody again, then Quinn, then nobody once more.
    for clock, user, message in (
        ("6 08:00", None, "library-nobody"),
        ("6 09:00", "paul", "library-paul"),
        ("6 09:30", None, "library-after-paul"),
        ("6 12:00", "quinn", "library-quinn"),
        ("6 12:30", None, "library-after-quinn"),
    ):
        teller.page(at(clock), device="library", user=user, message=message)
    # Consent that Paul took back by name, and that Ruth gave on her own device.
    teller.page(at("7 09:00"), device="dev-ruth", consent={"Analytics": True}, message="ruth-before")
    teller.track("Signed Up", at("7 10:00"), device="dev-ruth", user="ruth", message="ruth-signs")
    teller.page(at("7 11:00"), device="dev-paul", user="paul", consent={"Analytics": True}, message="paul-consents")
    # Billing, mail, CRM, survey with words, review, and a ticket; neighbours have the same.
    for user in ("paul", "quinn", "ruth"):
        teller.invoice(user, at("8 10:00"), invoice=f"in_{user}", amount=1900, reason="subscription_create")
        teller.track(
            "Subscription Started",
            at("8 10:00:30"),
            user=user,
            message=f"{user}-subscribes",
            properties={"invoice_id": f"in_{user}", "revenue": 19, "currency": "USD"},
        )
        teller.mail("delivered", at("9 08:00"), address=f"{user}@example.com", user=user)
        teller.review(user, at("10 10:00"), stars=2 if user == "paul" else 5)
        teller.answer(user, at("11 10:00"), score=3)
        teller.lines["nps/responses"][-1] |= {
            "Name": "Paul Erdmann" if user == "paul" else user.title(),
            "Comment": "Send it to the Erdmanns" if user == "paul" else "Good, and not too dear",
        }
    teller.contact("paul", at("12 09:00"), record=7, is_unsubscribed=True)
    teller.contact("quinn", at("12 09:00"), record=8, is_unsubscribed=False)
    teller.lines["hubspot/contacts"][0]["First Name"] = "Paul Erdmann"
    teller.lines["hubspot/contacts"][1]["First Name"] = "Quinn"
    # The invoice of Sam is reported by Paul's session as well: what stands for the sale was Paul's row.
    teller.track(
        "Subscription Started",
        at("13 09:59"),
        device="dev-paul",
        user="paul",
        message="paul-reports",
        properties={"invoice_id": "in_sam", "revenue": 19, "currency": "USD"},
    )
    teller.invoice("sam", at("13 10:00"), invoice="in_sam", amount=1900, reason="subscription_create")
    # A ticket that Paul opened (the desk knows him by a number of its own), and one of Ruth's.
    for requester, user in ((70, "paul"), (71, "ruth")):
        teller.lines["zendesk/users"].append(
            {
                "id": requester,
                "external_id": user,
                "email": f"{user}@example.com",
                "name": "Paul Erdmann" if user == "paul" else "Ruth",
                "role": "end-user",
                "created_at": story.iso(at("8 12:00")),
                "updated_at": story.iso(at("8 12:00")),
            }
        )
        teller.ticket(requester, at("9 12:00"), ticket=requester)
        if user == "paul":
            teller.lines["zendesk/tickets"][-1]["description"] = "Send it to the Erdmanns"
    # Quarantined: a time that is none, and a line that breaks off.
    teller.page(at("14 09:00"), device="dev-paul", user="paul", message="paul-bad")
    teller.lines["segment/pages"][-1]["receivedAt"] = "yesterday"
    teller.page(at("14 09:00"), device="dev-ruth", user="ruth", message="ruth-bad")
    teller.lines["segment/pages"][-1]["receivedAt"] = "yesterday"
    # Nobody's, and a long look at the shop by somebody else.
    teller.page(at("15 09:00"), device="dev-iris", message="iris")
    for minute in range(5):
        teller.page(at("16 09:00") + timedelta(minutes=minute), device="dev-ruth", message=f"ruth-{minute}")
    return teller


def names(row: Any, wanted: set[Any]) -> bool:
    """Does any value of a row, however deep, name somebody?"""
    if isinstance(row, dict):
        return any(names(value, wanted) for value in row.values())
    if isinstance(row, list):
        return any(names(value, wanted) for value in row)
    return row in wanted


def without(teller: Story, wanted: set[Any]) -> Story:
    """The same world as far as no row names somebody."""
    other = Story()
    for table, rows in teller.lines.items():
        # A number is a name only where the desk and the CRM put theirs.
        plain = (
            wanted
            if table in ("zendesk/tickets", "zendesk/users", "hubspot/contacts")
            else {one for one in wanted if isinstance(one, str)}
        )
        kept = [row for row in copy.deepcopy(rows) if not names(row, plain)]
        if kept:
            other.lines[table] = kept
    return other


def environment(folder: Path, key: Path) -> dict[str, str]:
    return {
        "THROUGHLINE_DATA": str(folder / "data"),
        "THROUGHLINE_INBOX": str(folder / "inbox"),
        "THROUGHLINE_KEY_FILE": str(key),
        "THROUGHLINE_TIMEZONE": story.TIMEZONE,
        "THROUGHLINE_AS_OF": story.AS_OF,
        "THROUGHLINE_THREADS": "1",
    }


class World:
    """One world: its folder, its commands."""

    def __init__(self, folder: Path, key: Path) -> None:
        self.folder, self.environment = folder, environment(folder, key)
        self.settings: Settings = load_settings(self.environment)

    def do(self, *arguments: str, failpoint: str = "", status: int = 0) -> str:
        done = throughline(*arguments, env=self.environment | {"THROUGHLINE_FAILPOINT": failpoint})
        assert done.returncode == status, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    def copied(self, folder: Path) -> World:
        shutil.copytree(self.folder, folder, symlinks=True)
        return World(folder, Path(self.environment["THROUGHLINE_KEY_FILE"]))

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with open_warehouse(self.settings, read_only=True, with_vault=True) as connection:
            return connection.execute(query, list(parameters)).fetchall()

    def event(self, message: str, columns: str) -> list[tuple[Any, ...]]:
        return self.rows(
            f"select {columns} from timeline.customer_events join timeline.event_keys using (event_id) "
            "where event_key = ?",
            message,
        )


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world with Paul, after one night."""
    folder = tmp_path_factory.mktemp("delivered")
    (folder / "key").write_bytes(b"p" * 32)
    tell().write(folder / "inbox")
    broken = folder / "inbox" / "segment" / "tracks" / "2026-03-29.jsonl"
    broken.write_text('{"messageId": "broken", "context": {"traits": {"email": "paul@example.com"\n')
    world = World(folder, folder / "key")
    world.do("run")
    return world


@pytest.fixture(scope="module")
def asked(delivered: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same when the rows are gone and the night is still to come."""
    world = delivered.copied(tmp_path_factory.mktemp("asked") / "world")
    world.do("erase", "Paul@Example.com", "--later")
    return world


@pytest.fixture(scope="module")
def rebuilt(asked: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same after a night that was killed and one that was killed when older versions were still there."""
    world = asked.copied(tmp_path_factory.mktemp("rebuilt") / "world")
    world.do("run", failpoint="night.before_commit:1:kill", status=-9)
    assert "under way: 1 rows deleted" in world.do("status")
    world.do("run", failpoint="publishing.pruning:1:kill", status=-9)
    assert "under way: 1 rebuilt" in world.do("status")
    return world


@pytest.fixture(scope="module")
def erased(rebuilt: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same to the end."""
    world = rebuilt.copied(tmp_path_factory.mktemp("erased") / "world")
    done = run_in_child(_finish, env=world.environment)
    assert done.returncode == 0, done.stderr
    return world


@pytest.fixture(scope="module")
def never(asked: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world without Paul, told which anonymous events had been his."""
    world = World(tmp_path_factory.mktemp("never"), Path(asked.environment["THROUGHLINE_KEY_FILE"]))
    without(tell(), PAUL).write(world.settings.inbox)
    hand_over(asked.settings, world.settings)
    world.do("run")
    return world


def hand_over(of: Settings, to: Settings) -> None:
    """Give a world the list of events that stay without an owner."""
    with open_warehouse(of, read_only=True) as connection:
        listed = connection.execute("select event_id, device_id from ops.erased_events").fetchall()
    assert listed
    with open_landing(to) as connection:
        connection.executemany("insert into ops.erased_events values (?, ?, null)", listed)


def test_the_world_is_as_if_they_had_never_been_delivered(erased: World, never: World) -> None:
    assert differences(erased.settings.warehouse_path, never.settings.warehouse_path, besides=LEDGER) == {}
    # Of the vault, what is left of each row; files are cut anew, so they have other hashes.
    with duckdb.connect() as connection:
        for name, world in (("one", erased), ("other", never)):
            connection.execute(f"attach '{world.settings.vault_path}' as {name} (read_only)")
        tables = connection.execute("select table_name from duckdb_tables() where database_name = 'one'").fetchall()
        for (table,) in tables:
            columns = [row[0] for row in connection.execute(f"describe one.{table}").fetchall()]
            kept = ", ".join(f'"{c}"' for c in columns if c not in ("content_hash", "row_number", "file_id"))
            left, right = (
                sorted(connection.execute(f"select {kept} from {name}.{table}").fetchall(), key=repr)
                for name in ("one", "other")
            )
            assert left == right, table


def test_what_was_stitched_to_them_is_nobodys_and_the_rest_is_the_devices(delivered: World, erased: World) -> None:
    owners = {
        message: delivered.event(message, "person_id, identity_tier")
        for message in ("paul-before", "paul-after", "library-after-paul", "library-nobody", "library-after-quinn")
    }
    assert [len({owner for owner, _ in rows}) for rows in owners.values()] == [1] * 5
    paul = owners["paul-before"][0][0]
    assert {owners[message][0][0] for message in ("paul-before", "paul-after", "library-after-paul")} == {paul}
    for message in ("paul-before", "paul-after", "paul-twice", "library-after-paul"):
        assert erased.event(message, "person_id, identity_tier") == [(None, None)], message
    # Quinn is the only one left on the library's computer: the rest of it is Quinn's, what had been Paul's is not.
    quinn = erased.event("library-quinn", "person_id")
    assert quinn != [(None,)]
    for message in ("library-nobody", "library-after-quinn"):
        assert erased.event(message, "person_id") == quinn, message
    for message in ("paul-signs", "library-paul", "paul-subscribes"):
        assert erased.event(message, "1") == []
    # The sale that Paul's row had stood for is Sam's own.
    assert erased.rows(
        "select source from timeline.customer_events where order_id like '%in_sam' and kind = 'outcome'"
    ) == [("stripe",)]
    reasons = erased.rows("select sum(row_count) from ops.dropped_rows where reason = 'whose it was has been erased'")
    assert reasons == [(4,)]


def test_nothing_is_left_of_them(delivered: World, erased: World) -> None:
    """No token in a table, no readable value in a file; only the list of who must not land again."""
    with open_warehouse(delivered.settings, read_only=True) as connection:
        theirs = connection.execute(
            """
            select identifier from identity.identifiers
            where identifier_type <> 'device_id' and person_id = (
                select person_id from identity.identifiers
                where identifier in (
                    select owner_identifier from timeline.event_keys where event_key = 'paul-signs'
                )
            )
            """
        ).fetchall()
    tokens = {token for (token,) in theirs}
    assert {token.split(":")[0] for token in tokens} == {"user_id", "crm_id", "email", "support_id"}
    assert holding(delivered.settings, tokens) > {"identity.identifiers", "raw.segment__tracks"}
    assert holding(erased.settings, tokens) == {"ops.suppressed_identifiers"}
    assert set(erased.rows("select identifier from ops.suppressed_identifiers")) == {(token,) for token in tokens}
    assert erased.rows("select state, rows_erased from ops.erasures") == [("done", 14)]
    assert erased.rows("select distinct erasure_id from ops.erased_events") == [(None,)]
    assert sum(telling_bytes(delivered.settings.data)) > 0
    assert telling_bytes(erased.settings.data) == [0, 0, 0]
    [version] = (erased.settings.published / "versions").iterdir()
    assert (erased.settings.published / "current").resolve() == version.resolve()
    assert erased.settings.vault_path.stat().st_mode & 0o777 == 0o600


def holding(settings: Settings, tokens: set[str]) -> set[str]:
    """Tables of warehouse, vault and published versions with one of the tokens in any column."""
    found = set()
    with open_warehouse(settings, read_only=True, with_vault=True) as connection:
        for number, path in enumerate(sorted(settings.published.glob("versions/*/*.duckdb"))):
            connection.execute(f"attach '{path}' as version_{number} (read_only)")
        connection.execute("create temp table wanted as select unnest(?::varchar[]) as token", [sorted(tokens)])
        for database, schema, table in connection.execute(
            "select database_name, schema_name, table_name from duckdb_tables() where not temporary"
        ).fetchall():
            name = f"{schema}.{table}"
            count = connection.execute(
                f"""
                select count(*) from {database}.{schema}."{table}" as row
                semi join wanted on contains(to_json(row)::varchar, token)
                """
            ).fetchall()
            if count != [(0,)]:
                found.add(name if database == "warehouse" else f"{database}.{name}")
    return found


def telling_bytes(data: Path) -> list[int]:
    """In how many files below a folder each readable value stands."""
    content = [path.read_bytes() for path in data.rglob("*") if path.is_file() and not path.is_symlink()]
    return [sum(value.encode() in one for one in content) for value in READABLE]


def test_they_stay_out_and_their_device_may_come_back(erased: World, tmp_path: Path) -> None:
    """Re-observed: named rows are suppressed; the device is a new anonymous person from then on."""
    world = erased.copied(tmp_path / "world")
    later = Story()
    later.track("Feature Used", at("28 10:00"), device="dev-paul", user="paul", message="paul-again")
    later.page(at("28 11:00"), device="dev-paul", message="device-again")
    later.page(at("4 09:00"), device="dev-paul", message="paul-before", entry="paid search", received=at("29 09:00"))
    for table, rows in later.lines.items():
        path = world.settings.inbox / table / "2026-03-31.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = world.do("run")
    assert "full build" not in said
    assert world.event("paul-again", "1") == []
    [(owner, tier)] = world.event("device-again", "person_id, identity_tier")
    assert owner is not None
    assert tier == "anonymous"
    assert world.event("paul-before", "person_id") == [(None,)]
    assert world.rows("select sum(suppressed) from ops.landed_files where path like '%2026-03-31%'") == [(1,)]
    # Once more: there is nothing to do, and a sentence says so.
    assert "erased on" in world.do("erase", "paul@example.com")
    assert "erased on" in world.do("whois", "paul")


def test_a_dry_run_and_whois_tell_and_change_nothing(delivered: World) -> None:
    before = {path: path.stat().st_mtime_ns for path in delivered.settings.data.glob("*.duckdb")}
    said = delivered.do("erase", "paul", "--dry-run")
    assert "segment/tracks" in said
    assert "belong to nobody: 4" in said
    assert "Nothing was done." in said
    whois = delivered.do("whois", "cus_paul", "PAUL@example.com ")
    assert whois.count("Person p_") == 1
    assert "2 email" not in whois
    for readable in ("paul", "cus_", "@"):
        assert readable not in whois
        assert readable not in said.replace("files of the inbox", "")
    assert {path: path.stat().st_mtime_ns for path in delivered.settings.data.glob("*.duckdb")} == before


@pytest.mark.parametrize(
    "place",
    [
        "erasure.versions_gone:1",
        "warehouse.rewritten:1",
        "warehouse.replaced:1",
        "warehouse.rewritten:2",
        "warehouse.replaced:2",
        "erasure.before_done:1",
    ],
)
def test_a_killed_end_is_done_again(rebuilt: World, erased: World, tmp_path: Path, place: str) -> None:
    world = rebuilt.copied(tmp_path / "world")
    assert run_in_child(_finish, env=world.environment | {"THROUGHLINE_FAILPOINT": f"{place}:kill"}).returncode == -9
    done = run_in_child(_finish, env=world.environment)
    assert done.returncode == 0, done.stderr
    assert differences(world.settings.warehouse_path, erased.settings.warehouse_path) == {}
    assert world.rows("select state from ops.erasures") == [("done",)]
    assert telling_bytes(world.settings.data) == [0, 0, 0]
    assert not (world.settings.data / ".rewriting").exists()


def _finish() -> int:
    report = erasure.finish(load_settings(), run_id="test")
    return 0 if report.is_complete else 1


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("library", "a device that several persons use"),
        ("dev-iris", "a device on which nobody is known"),
        ("none", "never identifies anybody"),
        ("nobody@example.com", "known to no table"),
    ],
)
def test_who_cannot_be_erased_is_told_in_one_sentence(delivered: World, value: str, sentence: str) -> None:
    with pytest.raises(ThroughlineError, match=sentence) as caught:
        erasure.foretell(delivered.settings, load_contracts(), [value])
    assert value not in str(caught.value)
    assert str(caught.value).count(". ") == 0


def test_a_value_of_two_persons_is_not_guessed(delivered: World, tmp_path: Path) -> None:
    """The CRM's record 8 is Quinn; another system's 8 may be somebody else."""
    world = delivered.copied(tmp_path / "world")
    with erasure.open_for_look(world.settings) as connection:
        [person], _ = erasure.find(connection, load_contracts(), ["8"])
        assert {"crm_id", "email"} <= {known.kind for known in person.identifiers}
        [other] = [
            t for t in erasure.erasure.tokens_of(connection, load_contracts(), "8") if t.startswith("support_id")
        ]
    with open_warehouse(world.settings) as connection:
        connection.execute(
            "insert into identity.identifiers by name select ? as identifier, 'support_id' as identifier_type, "
            "'p_0000000000000000' as person_id, false as is_shared_device",
            [other],
        )
    with pytest.raises(ThroughlineError, match=r"an identifier of 2 persons .*; name the token of the one you mean"):
        erasure.foretell(world.settings, load_contracts(), ["8"])
    assert erasure.foretell(world.settings, load_contracts(), [person.asked_for]).persons == [person]


def test_a_person_who_went_up_in_another_is_told_to_be_that_one(demo: Demo) -> None:
    with erasure.open_for_look(demo.settings) as connection:
        [(before, after)] = connection.execute(
            """
            select person_id_before, person_id_after from identity.changes
            where kind = 'merge' and person_id_before not in (select person_id from identity.persons)
            order by changed_on desc, change_id limit 1
            """
        ).fetchall()
        with pytest.raises(ThroughlineError, match=f"was found on 2.* to be {after} .*; ask for that one"):
            erasure.find(connection, load_contracts(), [before])


def test_others_whose_rows_carry_an_identifier_of_theirs_are_told(demo: Demo) -> None:
    """A telephone that was passed on is its new owner's, and stands on rows of the former one."""
    with open_warehouse(demo.settings, read_only=True) as connection:
        [(phone, owner)] = connection.execute(
            """
            select phones.identifier, phones.person_id
            from identity.refused_links as refused
            inner join identity.identifiers as phones
                on phones.identifier in (refused.identifier_a, refused.identifier_b)
            inner join identity.identifiers as users on users.identifier in (refused.identifier_a, refused.identifier_b)
            where phones.identifier_type = 'phone' and users.identifier_type = 'user_id'
            order by all limit 1
            """
        ).fetchall()
    [told] = [line for line in erasure.foretell(demo.settings, load_contracts(), [owner]).told if "Rows of" in line]
    assert told.startswith("Rows of 1 other person carry") and told.endswith(f": {phone}.")


def test_a_disk_too_full_for_the_copy_is_one_sentence(delivered: World, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(delivered.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1_000))
    with pytest.raises(ThroughlineError, match=r"cannot be rewritten: its copy needs .* free some space"):
        rewrite(delivered.settings, delivered.settings.vault_path)


@pytest.mark.parametrize(
    ("report", "sentence"),
    [
        (PostgresReport(place="db", version_id="a", wanted_id="b", problem="it is down"), "is behind: it is down"),
        (
            PostgresReport(place="db", version_id="b", wanted_id="b", put_off=("throughline_a",)),
            "still holds throughline_a",
        ),
    ],
)
def test_an_old_version_that_stays_in_postgres_keeps_the_erasure_open(
    rebuilt: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, report: PostgresReport, sentence: str
) -> None:
    world = rebuilt.copied(tmp_path / "world")
    settings = replace(world.settings, postgres_url="postgresql://db/x")
    monkeypatch.setattr(erasure, "bring_up_to_date", lambda *_, **__: report)
    found = erasure.finish(settings, run_id="test")
    assert not found.is_complete
    assert sentence in found.sentence
    assert world.rows("select state from ops.erasures") == [("rebuilt",)]
    monkeypatch.setattr(
        erasure, "bring_up_to_date", lambda *_, **__: replace(report, version_id="b", problem=None, put_off=())
    )
    assert erasure.finish(settings, run_id="test").is_complete


@pytest.mark.torture
def test_people_of_the_demo_erased_and_never_landed_leave_the_same(demo: Demo, tmp_path: Path) -> None:
    """Five people, one of them known on a family's tablet: erased, against suppressed before the first row came."""
    data = tmp_path / "erased"
    shutil.copytree(demo.settings.data, data, symlinks=True, ignore=AT_WORK)
    (data / "inbox").rename(tmp_path / "inbox")
    setting = environment_of(demo.settings) | {"THROUGHLINE_INBOX": str(tmp_path / "inbox")}
    with open_warehouse(demo.settings, read_only=True) as connection:
        on_shared, others = (
            [token for (token,) in connection.execute(query).fetchall()]
            for query in (
                """
                select distinct owner_identifier from timeline.event_keys as keys
                inner join identity.identifiers as devices
                    on keys.device_id = devices.identifier and devices.is_shared_device
                where owner_identifier <> device_id order by 1
                """,
                "select identifier from identity.identifiers where identifier_type = 'email' order by 1",
            )
        )
    draw = random.Random(11)
    chosen = [draw.choice(on_shared), *draw.sample(others, 4)]
    done = throughline("erase", *chosen, env=setting | {"THROUGHLINE_DATA": str(data)}, timeout=3600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    never = tmp_path / "never"
    pin_models(demo.settings.data, never)
    erased = replace(demo.settings, data=data, inbox=tmp_path / "inbox")
    hand_over(erased, replace(erased, data=never))
    with open_warehouse(erased, read_only=True) as connection:
        gone = connection.execute("select identifier, suppressed_at from ops.suppressed_identifiers").fetchall()
        assert len(gone) > len(chosen)
    with open_warehouse(replace(erased, data=never)) as connection:
        connection.executemany("insert into ops.suppressed_identifiers values (?, ?)", gone)
    done = throughline("run", env=setting | {"THROUGHLINE_DATA": str(never)}, timeout=3600)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    besides = frozenset({"published.data_quality"})
    places = (*PLACES, "predictions")
    assert differences(data / "warehouse.duckdb", never / "warehouse.duckdb", places=places, besides=besides) == {}
    assert holding(erased, {token for token, _ in gone}) == {"ops.suppressed_identifiers"}
