"""The identifier_rules seed: what is junk, and what it means to resolution."""

import duckdb
import pyarrow.csv
import pytest

from dagster_project.identity.rules import IdentifierRule, IdentifierRules
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
    assert rules["user_id"] == IdentifierRule(priority=1, limit_per_person=1, is_person_identifier=True)
    assert rules["device_id"].limit_per_person is None
    assert not rules["account_id"].is_person_identifier
    assert not rules["order"].is_person_identifier


def test_every_type_has_its_own_priority(seed):
    assert sorted(seed["priority"].to_pylist()) == list(range(1, len(seed) + 1))
