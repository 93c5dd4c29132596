"""Erased from what has landed: by landing's own rule, wherever it was killed; what is left is what never named them."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dagster_project import erasure
from dagster_project.errors import ThroughlineError
from dagster_project.landing import ledger
from dagster_project.landing.contracts import load_contracts
from dagster_project.landing.landing import land_table, prepare
from dagster_project.settings import Settings, load_settings
from tests.children import run_in_child
from tests.landing.conftest import EVENT_COLUMNS, Shop, event

Content = Callable[[Settings], dict[str, list[tuple[Any, ...]]]]
# What the ledger and the list of the erased say of it is looked at by itself.
OWN = {"warehouse.ops.landed_files", "warehouse.ops.erasures", "warehouse.ops.suppressed_identifiers"}


def exports(shop: Shop, *, without: str | None = None) -> None:
    """Two files of seven people; `u3` also in quarantine, by a bad number and by bytes that nothing can read."""
    rows = [event(n) for n in range(60)]
    rows += [event(200, userId=None, traits={"email": "person3@example.org"}, message="write to me")]
    rows += [event(201, userId="u4", traits={"email": "PERSON3@example.org "})]
    rows += [event(300 + n, items="bad") for n in range(7)]
    theirs = {"u3"} if without else set()
    kept = [r for r in rows if r["userId"] not in theirs and "person3" not in (r["traits"]["email"] or "").lower()]
    rows = kept if without else rows
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    broken = "" if without else '{"id": "e400", "traits": {"email": "Person3@Example.org", \n'
    shop.put("a.jsonl", lines + '{"id": "e401", "userId": \n' + broken)
    more = [event(n) for n in range(500, 514)]
    shop.put(
        "b.jsonl.gz", gzip.compress("".join(json.dumps(r) + "\n" for r in more if r["userId"] not in theirs).encode())
    )


def settings_of(shop: Shop, name: str) -> Settings:
    return load_settings(environment(shop, name))


def environment(shop: Shop, name: str) -> dict[str, str]:
    return {
        "THROUGHLINE_DATA": str(shop.folder / name),
        "THROUGHLINE_INBOX": str(shop.settings.inbox),
        "THROUGHLINE_KEY_FILE": str(shop.folder / "key"),
    }


def erase(shop: Shop, name: str, *values: str, failpoint: str = "") -> int:
    """Land and erase in a process of its own; return its exit status."""
    env = environment(shop, name) | {"THROUGHLINE_FAILPOINT": failpoint}
    done = run_in_child(_erase, shop.folder / "contracts", values, env=env)
    assert done.returncode in (0, -9), done.stderr[-3000:]
    return done.returncode


def _erase(folder: Path, values: tuple[str, ...]) -> None:
    settings, contracts = load_settings(), load_contracts(folder)
    prepare(settings, contracts)
    for contract in contracts:
        land_table(settings, contract)
    if values:
        erasure.erase(settings, contracts, values)


def without_own(content: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows for name, rows in content.items() if name not in OWN}


@pytest.fixture
def key(shop: Shop) -> None:
    shop.contract()
    (shop.folder / "key").write_bytes(b"k" * 32)
    shop.settings = settings_of(shop, "data")


@pytest.mark.usefixtures("key")
def test_what_is_left_is_what_never_named_them(shop: Shop, content: Content) -> None:
    """Erased by user id and e-mail, against files from which every such row was taken before they landed."""
    exports(shop)
    assert erase(shop, "data", "u3", "person3@example.org") == 0
    left = without_own(content(shop.settings))
    events = shop.rows("select count(*), count(message_id) from raw.shop__events")
    # 60 + 14 of which every seventh is u3's (9 + 2), and two rows with the address alone or with another's user id.
    assert events == [(62 + 14 - 11 - 2, 63)]
    # Of nine quarantined rows u3's bad number and the broken line with the address went; the other broken one stayed.
    assert shop.rows("select count(*) from ops.quarantine") == [(7,)]
    assert shop.rows("select count(*) from vault.quarantine where row_number > 0") == [(7,)]
    assert shop.rows("select state, sum(rows_erased) from ops.erasures group by all") == [("rows deleted", 24)]
    told = (
        "select path, rows_in, accepted, quarantined, duplicates, suppressed, erased from ops.landed_files order by 1"
    )
    assert shop.rows(told) == [
        ("shop/events/a.jsonl", 71, 62, 7, 0, 2, 11),
        ("shop/events/b.jsonl.gz", 14, 14, 0, 0, 0, 2),
    ]
    exports(shop, without="u3")
    for path in (shop.settings.inbox / "shop" / "events").iterdir():
        path.rename(path.with_name(f"2-{path.name}"))
    assert erase(shop, "never") == 0
    never = without_own(content(settings_of(shop, "never")))
    hidden = ("_file_id", "_row_number", "file_id", "row_number", "content_hash")
    assert _rows(shop, "data", hidden) == _rows(shop, "never", hidden)
    assert left.keys() == never.keys()


def _rows(shop: Shop, name: str, hidden: tuple[str, ...]) -> dict[str, list[tuple[Any, ...]]]:
    """Rows, texts and quarantined bytes without what names files, which were cut anew."""
    from dagster_project.warehouse import open_warehouse

    with open_warehouse(settings_of(shop, name), with_vault=True) as connection:
        found = {}
        for table in (
            "warehouse.raw.shop__events",
            "vault.main.shop__events",
            "vault.main.texts",
            "vault.main.quarantine",
        ):
            columns = [r[0] for r in connection.execute(f"describe {table}").fetchall()]
            kept = [c for c in columns if c not in hidden and c != "_loaded_at"]
            found[table] = sorted(connection.execute(f"select {', '.join(kept)} from {table}").fetchall(), key=repr)
        return found


@pytest.mark.usefixtures("key")
def test_killed_anywhere_and_done_again_ends_the_same(shop: Shop, content: Content) -> None:
    exports(shop)
    values = ("u3", "person3@example.org")
    assert erase(shop, "data", *values) == 0
    whole = content(shop.settings)
    assert whole["warehouse.ops.suppressed_identifiers"] != []
    for number, place in enumerate(
        [
            "erasure.before_asked:1",
            "erasure.asked:1",
            "erasure.quarantine_before_commit:1",
            "erasure.quarantine_cleared:1",
            "erasure.mid_vault:1",
            "erasure.vault_cleared:1",
            "erasure.mid_rows:1",
            "erasure.before_commit:1",
            "erasure.rows_gone:1",
        ]
    ):
        name = f"killed{number}"
        assert erase(shop, name) == 0
        assert erase(shop, name, *values, failpoint=f"{place}:kill") == -9, place
        again = (
            erase(shop, name, *values) if number % 2 or place.startswith("erasure.before_asked") else erase(shop, name)
        )
        assert again == 0, place
        found = content(settings_of(shop, name))
        for table in found.keys() - {"warehouse.ops.erasures", "warehouse.ops.landed_files"}:
            assert found[table] == whole[table], (place, table)
        counts = slice(7, 13)
        told = [row[counts] for row in found["warehouse.ops.landed_files"]]
        assert told == [row[counts] for row in whole["warehouse.ops.landed_files"]], place
        assert {row[2] for row in found["warehouse.ops.erasures"]} == {ledger.DELETED}, place


@pytest.mark.usefixtures("key")
def test_what_a_killed_landing_left_in_the_vault_goes_too(shop: Shop) -> None:
    """The file it came from was taken away, so no landing would come to clear it."""
    exports(shop)
    assert erase(shop, "data") == 0
    path = shop.put("c.jsonl", [event(n, message=f"call u{n % 7}") for n in range(600, 660)])
    assert erase(shop, "data", failpoint="landing.after_vault:1:kill") == -9
    path.unlink()
    unknown = "select count(*) from vault.{} where content_hash not in (select content_hash from ops.landed_files)"
    assert shop.rows(unknown.format("shop__events")) == [(60,)]
    assert erase(shop, "data", "u3", "person3@example.org") == 0
    assert shop.rows(unknown.format("shop__events")) == shop.rows(unknown.format("texts")) == [(0,)]


@pytest.mark.usefixtures("key")
def test_they_stay_out(shop: Shop) -> None:
    """What they send later is suppressed; who only shares a browser with them lands."""
    exports(shop)
    assert erase(shop, "data", "u3", "person3@example.org") == 0
    shop.put(
        "c.jsonl", [event(3, id="new"), event(4, id="other", traits={"email": "person3@example.org"}), event(5, id="x")]
    )
    report = shop.land(load_contracts(shop.folder / "contracts")[0])
    assert (report.count("accepted"), report.count("suppressed")) == (1, 2)


@pytest.mark.usefixtures("key")
def test_a_column_that_the_contract_names_later_is_looked_at_too(shop: Shop) -> None:
    """Old rows name somebody by a column that nobody read until then: with the next night they go as well."""
    shop.put("a.jsonl", [event(1, loyalty="L-77"), event(2, loyalty="L-88"), event(3)])
    columns = [c for c in EVENT_COLUMNS if c["name"] != "email"]
    other = {"name": "card", "landing": {"from": "loyalty", "identifier": "crm_id", "namespace": "shop"}}
    shop.contract(columns=columns)
    assert erase(shop, "data") == 0
    shop.contract(columns=[*columns, other])
    settings, contracts = settings_of(shop, "data"), load_contracts(shop.folder / "contracts")
    with erasure.open_landing(settings) as connection:
        [token] = [t for t in erasure.erasure.tokens_of(connection, contracts, "L-77") if t.startswith("crm_id")]
        connection.execute("insert into ops.suppressed_identifiers values (?, now()::timestamp)", [token])
    prepare(settings, contracts)
    assert shop.rows("select id from raw.shop__events order by id") == [("e2",), ("e3",)]
    assert shop.rows("select state from ops.erasures") == [("rows deleted",)]


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("nobody@example.org", "known to no table"),
        ("anonymous", "never identifies anybody"),
        ("p_0123456789abcdef", "known to no table"),
        ("email:00000000000000000000000000000000", "known to no table"),
    ],
)
def test_somebody_nobody_knows_is_one_sentence_that_does_not_repeat_the_value(
    shop: Shop, value: str, sentence: str
) -> None:
    exports(shop)
    assert erase(shop, "data") == 0
    with pytest.raises(ThroughlineError, match=sentence) as caught:
        erasure.erase(shop.settings, load_contracts(shop.folder / "contracts"), ["u3", value])
    assert value not in str(caught.value)
    assert shop.rows("select count(*) from ops.suppressed_identifiers") == [(0,)]


def test_without_a_warehouse_it_is_one_sentence(shop: Shop) -> None:
    with pytest.raises(ThroughlineError, match=r"There is no warehouse in .* yet"):
        erasure.erase(shop.settings, [], ["u3"])
