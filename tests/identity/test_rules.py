"""The identifier_rules seed: what is junk, and what it means to resolution."""

from pathlib import Path

import duckdb
import jinja2
import pyarrow.csv
import pytest
import yaml

from dagster_project.errors import ThroughlineError
from dagster_project.identity.rules import IdentifierRule, IdentifierRules, check_overrides
from dagster_project.landing import tokens
from dagster_project.settings import DBT_DIR

SEED = DBT_DIR / "seeds" / "identifier_rules.csv"

JUNK = {
    "user_id": (
        "|0|000|00000000-0000-0000-0000-000000000000|-1|ffffffff-ffff-ffff-ffff-ffffffffffff|null|NULL|None|n/a|"
        "undefined|anonymous|Unknown|(not set)|[object Object]|guest"
    ),
    "email": (
        "|null|unknown|info@shop.de|Support+42@shop.com|no-reply@shop.com|sales@shop.com|accounts.payable@firm.com|"
        "test@example.com|noemail@shop.com|none@none.com|@shop.com"
    ),
    "phone": "|0|0000000000|+1111111111|1234567890|12345|+266696687",
    "device_id": "undefined|00000000-0000-0000-0000-000000000000",
}
REAL = {
    "user_id": "1|12|17850|11111|123456|usr_0|anna|f|nullable-7",
    "email": "anna@example.com|maria.sales@firm.com|info.smith@firm.com|tessa@firm.com|it.lee@firm.com",
    "phone": "+493012345678|+12025550142|02079460000",
    "device_id": "3f2c8a10-0000-4000-8000-000000000001",
}


@pytest.fixture(scope="module")
def seed():
    return pyarrow.csv.read_csv(SEED)


def is_blocked(seed, identifier_type: str, value: str) -> bool:
    pattern = next(row["blocked_pattern"] for row in seed.to_pylist() if row["identifier_type"] == identifier_type)
    return duckdb.execute("select regexp_full_match(?, ?, 'i')", [value, pattern]).fetchall()[0][0]


def verdicts(seed, examples: dict[str, str]) -> dict[tuple[str, str], bool]:
    return {
        (kind, value): is_blocked(seed, kind, value) for kind, values in examples.items() for value in values.split("|")
    }


def test_junk_values_are_blocked(seed):
    assert [example for example, blocked in verdicts(seed, JUNK).items() if not blocked] == []


def test_real_values_are_not_blocked(seed):
    assert [example for example, blocked in verdicts(seed, REAL).items() if blocked] == []


def test_seed_says_what_a_person_may_hold(seed):
    rules = IdentifierRules.from_arrow(seed)
    assert rules["user_id"] == IdentifierRule(priority=1, limit_per_person=1, is_person_identifier=True, link_limit=100)
    assert rules["device_id"].limit_per_person is None
    assert not rules["account_id"].is_person_identifier
    assert not rules["order"].is_person_identifier


def test_every_type_has_its_own_priority(seed):
    assert sorted(seed["priority"].to_pylist()) == list(range(1, len(seed) + 1))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["ada@example.com,user_id:app:1,always,she called,2026-01-05"], ""),  # it is told of elsewhere, and waits
        (["a,b,never,,2026-1-5", "", 'a,b,never,"twice, at least",2026-01-05'], ""),
        (
            ["a,b,Always,,2026-01-05"],
            "Line 2 of .* says neither always nor never; write one of them",
        ),
        (["a,b,always,,2026-01-05", "a,b,never,,05/01/2026"], "Line 3 of .* does not end in a day such as 2026-01-31"),
        (["a,b,never,she called, twice,2026-01-05"], "Line 2 of .* has 6 fields instead of 5; .* double quotes"),
        (["ada@example.com,,never,,2026-01-05"], "Line 2 of .* names one identifier alone; write two tokens"),
    ],
    ids=["readable", "good", "verdict", "day", "comma", "one"],
)
def test_a_wrong_line_of_the_overrides_is_one_sentence(tmp_path: Path, lines: list[str], said: str) -> None:
    path = tmp_path / "identity_overrides.csv"
    path.write_text("\n".join(["identifier_a,identifier_b,verdict,reason,decided_on", *lines]) + "\n")
    if not said:
        return check_overrides(path)
    with pytest.raises(ThroughlineError, match=said) as error:
        check_overrides(path)
    assert "ada" not in str(error.value)


def test_overrides_of_a_spreadsheet_are_told_how_to_be_saved(tmp_path: Path) -> None:
    path = tmp_path / "identity_overrides.csv"
    path.write_text("identifier_a;identifier_b;verdict;reason;decided_on\n")
    with pytest.raises(ThroughlineError, match=r"The first line of .* must be identifier_a,identifier_b"):
        check_overrides(path)
    path.write_bytes(b"identifier_a,identifier_b,verdict,reason,decided_on\na,b,never,caf\xe9,2026-01-05\n")
    with pytest.raises(ThroughlineError, match="save it as CSV in UTF-8"):
        check_overrides(path)


def test_own_overrides_can_be_read() -> None:
    check_overrides()


def test_an_override_that_names_somebody_in_readable_form_is_not_kept() -> None:
    """Tokens of every type stay as landing makes them."""
    sources = [DBT_DIR / "macros" / "engine" / "expressions.sql", DBT_DIR / "macros" / "identity_links.sql"]
    macros = jinja2.Environment(extensions=["jinja2.ext.do"]).from_string("".join(map(Path.read_text, sources))).module
    statement = macros.tokens_alone("overrides", ["identifier_a", "identifier_b"])
    with duckdb.connect() as connection:
        tokens.prepare_connection(connection, key=b"k" * 32)
        made = [
            tokens.token(kind, namespace=space, value="'ada@example.com'", blocked_pattern=pattern)
            for kind, space, pattern in (("email", None, None), ("crm_id", "hubspot", None), ("email", None, ".*"))
        ]
        connection.execute(f"create table kept as select unnest([{', '.join(made)}]) as identifier")
        connection.execute(
            "create table overrides as select identifier as identifier_a, 'ada@example.com' as identifier_b from kept "
            "union all select '+44 7700 900123', null"
        )
        connection.execute(statement)
        rows = connection.execute("from overrides").fetchall()
        kept = [name for (name,) in connection.execute("from kept").fetchall()]
    assert [one for one, _ in rows[:3]] == kept
    assert not [row for row in rows if "ada" in str(row) or "7700" in str(row)]
    assert "throughline whois" in rows[0][1] and rows[3][1] is None
    configured = yaml.safe_load((DBT_DIR / "seeds" / "_identifier_rules.yml").read_text())["seeds"][1]["config"]
    assert configured["post_hook"] == "{{ tokens_alone(this, ['identifier_a', 'identifier_b']) }}"
