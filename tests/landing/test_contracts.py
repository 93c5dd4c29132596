"""A wrong contract is told in one sentence that names file, table, column and fault."""

from typing import Any

import pytest

from dagster_project.errors import ThroughlineError
from dagster_project.landing.contracts import load_contracts
from dagster_project.settings import DBT_DIR
from tests.landing.conftest import EVENT_COLUMNS, EVENTS, Shop


def test_contract_reads_whole(shop: Shop) -> None:
    contract = shop.contract(timezone="Europe/Berlin", on_failure="stop", consent_default={"analytics": "granted"})
    assert contract.name == "shop__events"
    assert (contract.key, contract.duplicates, contract.occurred) == (("id",), "drop", "occurred_at")
    assert contract.available == (("received", "received_at"),)
    assert (contract.timezone, contract.on_failure) == ("Europe/Berlin", "stop")
    assert contract.raw_columns["email"] == "varchar"
    assert "ip" not in contract.raw_columns
    assert contract.vault_columns == {
        "content_hash": "varchar",
        "row_number": "bigint",
        "email": "varchar",
        "ip": "varchar",
        "extra": "json",
    }


def test_ways_to_be_known_are_tried_in_order(shop: Shop) -> None:
    given = {"delay_hours": 24, "path_date": r"(\d{8})", "received": "received_at"}
    contract = shop.contract(landing=EVENTS | {"available": given})
    assert [way for way, _ in contract.available] == ["received", "path_date", "delay_hours"]


@pytest.mark.parametrize(
    ("landing", "source", "fault"),
    [
        ({"keys": ["id"]}, {}, "'keys' is no landing setting"),
        ({"key": ["nope"]}, {}, "key names 'nope', which is none of its columns"),
        ({"key": ["ip"]}, {}, "key names 'ip', which is personal and so not in raw"),
        ({"duplicates": "never"}, {}, "duplicates is 'never' but must be one of drop, keep"),
        ({"time": {"occurred": "items"}}, {}, "whose data_type must be timestamp or date"),
        ({"available": {}, "time": {}}, {}, "available must say when its rows could be known"),
        ({"available": {"path_date": r"\d+"}}, {}, "must have exactly one group"),
        ({"turns": ["messages"]}, {}, "turns must name fields and which field of a turn says whose it is"),
        ({"turns": {"messages": "from"}}, {}, "turns names 'messages', of which no column reads anything"),
        ({"turns": {"traits": "from"}}, {}, "email reads 'traits.email' of turns but must name a side and a field"),
        ({"available": {"path_date": "("}}, {}, "is no regular expression"),
        ({"available": {"delay_hours": -1}}, {}, "must be a number of 0 or more"),
        ({"pairs": "params"}, {}, "pairs must be a list of fields"),
        ({"pairs": ["params"]}, {}, "pairs names 'params', of which no column reads anything"),
        ({}, {"timezone": "Mars/Base"}, "timezone 'Mars/Base' is no IANA time zone"),
        ({}, {"on_failure": "cry"}, "on_failure is 'cry' but must be one of warn, stop"),
        ({}, {"encoding": "utf-9"}, "encoding 'utf-9' is unknown"),
        ({}, {"consent_default": {"ads": "granted"}}, "consent_default is 'ads'"),
    ],
)
def test_wrong_table_settings_are_one_sentence(
    shop: Shop, landing: dict[str, Any], source: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ThroughlineError) as error:
        shop.contract(landing=EVENTS | landing, **source)
    assert fault in str(error.value)
    assert "_shop__sources.yml: shop.events: " in str(error.value)


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        ({"name": "x", "data_type": "money"}, "x: data_type 'money' must be"),
        ({"name": "X"}, "must be lower case"),
        ({"name": "_file_id"}, "none that landing adds"),
        ({"name": "x", "landing": {"identifier": "user_id"}}, "x: user_id needs a namespace"),
        ({"name": "x", "landing": {"identifier": "email", "namespace": "app"}}, "takes no namespace"),
        ({"name": "x", "landing": {"identifier": "passport"}}, "identifier is 'passport'"),
        ({"name": "x", "landing": {"namespace": "app"}}, "a namespace needs an identifier"),
        ({"name": "x", "landing": {"first_of": ";"}}, "first_of needs an identifier"),
        ({"name": "x", "landing": {"identifier": "email", "first_of": "and"}}, "first_of is 'and' but must be"),
        ({"name": "x", "data_type": "bigint", "landing": {"url": True}}, "must be varchar"),
        ({"name": "x", "landing": {"url": True, "text": True}}, "only one of identifier, text and url"),
        ({"name": "x", "landing": {"speaker": "Customer"}}, "x: a speaker is for a text"),
        ({"name": "x", "landing": {"formats": ["%d"]}}, "formats are for a date or timestamp"),
        ({"name": "x", "data_type": "date", "landing": {"time_zone": True}}, "a time_zone must be varchar"),
        ({"name": "x", "landing": {"time_zone": True, "personal": True}}, "a time_zone must be varchar"),
        ({"name": "x", "landing": {"personal": "yes"}}, "personal is 'yes' but must be true or false"),
        ({"name": "x", "landing": {"personal": True, "profile": "shoe_size"}}, "profile is 'shoe_size' but must be"),
        ({"name": "x", "landing": {"profile": "surname"}}, "a profile is told by a personal column"),
        ({"name": "id"}, "column id stands there twice"),
    ],
)
def test_wrong_columns_are_one_sentence(shop: Shop, column: dict[str, Any], fault: str) -> None:
    with pytest.raises(ThroughlineError, match=r"_shop__sources\.yml: shop\.events") as error:
        shop.contract(columns=[*EVENT_COLUMNS, column])
    assert fault in str(error.value)
    assert "\n" not in str(error.value)


def test_invalid_yaml_is_one_sentence(shop: Shop) -> None:
    shop.contract()
    (shop.folder / "contracts" / "shop" / "_shop__sources.yml").write_text("sources: [")
    with pytest.raises(ThroughlineError, match="is not valid YAML"):
        load_contracts(shop.folder / "contracts")


def test_own_contracts_are_valid() -> None:
    contracts = load_contracts(DBT_DIR / "models" / "staging")
    assert {"segment__tracks", "online_retail__lines"} <= {c.name for c in contracts}


def test_of_a_list_of_people_nobody_is_kept_whom_an_erasure_would_not_find() -> None:
    """Rows are found by tokens; beside the token of a list's first the list itself would keep the others' ids."""
    lists = [
        (contract, column)
        for contract in load_contracts()
        for column in contract.columns
        if column.first_of and column.identifier != "account_id"
    ]
    assert [(contract.name, column.name) for contract, column in lists] == [("hubspot__deals", "contact_id")]
    assert [
        other.name
        for contract, column in lists
        for other in contract.columns
        if other.name != column.name and other.path == column.path
    ] == []
