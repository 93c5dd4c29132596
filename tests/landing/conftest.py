"""One small contract and an empty inbox for every test."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagster_project.landing.contracts import TableContract, load_contracts
from dagster_project.landing.landing import LandingReport, land_table
from dagster_project.settings import Settings, load_settings
from dagster_project.warehouse import open_warehouse

EVENT_COLUMNS: list[dict[str, Any]] = [
    {"name": "id", "data_type": "varchar", "landing": {"required": True}},
    {"name": "user_id", "landing": {"from": "userId", "identifier": "user_id", "namespace": "app"}},
    {"name": "email", "landing": {"from": "traits.email", "identifier": "email", "personal": True}},
    {"name": "ip", "landing": {"from": "context.ip", "personal": True}},
    {"name": "page_url", "landing": {"from": "context.url", "url": True}},
    {"name": "amount", "data_type": "decimal(18,2)"},
    {"name": "items", "data_type": "bigint"},
    {"name": "is_new", "data_type": "boolean"},
    {"name": "message_id", "landing": {"from": "message", "text": True}},
    {"name": "properties", "data_type": "json"},
    {"name": "occurred_at", "data_type": "timestamp", "landing": {"from": "timestamp"}},
    {"name": "received_at", "data_type": "timestamp", "landing": {"from": "receivedAt", "required": True}},
]
EVENTS: dict[str, Any] = {
    "key": ["id"],
    "time": {"occurred": "occurred_at", "received": "received_at"},
    "available": {"received": "received_at"},
    "ignore": ["context.library"],
}
LINE_COLUMNS: list[dict[str, Any]] = [
    {"name": "order_no", "landing": {"from": "Order No", "required": True}},
    {"name": "note", "landing": {"from": "Note"}},
    {"name": "price", "data_type": "double", "landing": {"from": "Price"}},
    {"name": "sold_at", "data_type": "timestamp", "landing": {"from": "Sold"}},
    {"name": "customer", "landing": {"from": "Customer", "identifier": "user_id", "namespace": "shop"}},
]
LINES: dict[str, Any] = {
    "time": {"occurred": "sold_at"},
    "available": {"path_date": r"(\d{4}-\d{2}-\d{2})", "delay_hours": 24},
}


def contract_yaml(table: str, columns: list[dict[str, Any]], landing: dict[str, Any], **source: Any) -> str:
    """A sources file with one table of a source named `shop`."""
    listed = [
        {k: v for k, v in column.items() if k != "landing"}
        | {"config": {"meta": {"landing": column.get("landing", {})}}}
        for column in columns
    ]
    node = {
        "name": "shop",
        "schema": "raw",
        "config": {"meta": {"landing": source}},
        "tables": [
            {
                "name": table,
                "identifier": f"shop__{table}",
                "config": {"meta": {"landing": landing}},
                "columns": listed,
            }
        ],
    }
    return yaml.safe_dump({"version": 2, "sources": [node]}, sort_keys=False)


def event(number: int, **changes: Any) -> dict[str, Any]:
    """A JSON event that lands."""
    return {
        "id": f"e{number}",
        "userId": f"u{number % 7}",
        "traits": {"email": f"Person{number % 7}@Example.org"},
        "context": {"ip": "10.1.2.3", "url": "https://shop.example/p?utm_source=x&q=secret#top", "library": {"v": 1}},
        "amount": "12.50",
        "items": number,
        "is_new": True,
        "message": "Call me at +44 20 7946 0958",
        "properties": {"a": 1},
        "timestamp": "2026-01-05T10:00:00Z",
        "receivedAt": "2026-01-05T10:00:05Z",
    } | changes


@dataclass
class Shop:
    """An inbox, a data folder and the contract of one table."""

    settings: Settings
    folder: Path

    def contract(
        self,
        table: str = "events",
        columns: list[dict[str, Any]] | None = None,
        landing: dict[str, Any] | None = None,
        **source: Any,
    ) -> TableContract:
        is_events = table == "events"
        columns = columns or (EVENT_COLUMNS if is_events else LINE_COLUMNS)
        landing = landing or (EVENTS if is_events else LINES)
        path = self.folder / "contracts" / "shop" / "_shop__sources.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(contract_yaml(table, columns, landing, **source))
        return load_contracts(self.folder / "contracts")[0]

    def put(self, name: str, content: bytes | str | list[dict[str, Any]], table: str = "events") -> Path:
        """Write a file to the inbox: bytes, text, or JSON lines."""
        path = self.settings.inbox / "shop" / table / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def land(self, contract: TableContract, **options: Any) -> LandingReport:
        report = land_table(self.settings, contract, **options)
        self.check_ledger()
        return report

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query over warehouse and vault finds."""
        with open_warehouse(self.settings, with_vault=True) as connection:
            return connection.execute(query).fetchall()

    def reasons(self) -> list[tuple[int, str]]:
        return self.rows("select row_number, reason from ops.quarantine order by row_number")

    def check_ledger(self) -> None:
        """G1, and that the counts are those of the tables."""
        with open_warehouse(self.settings, with_vault=True) as connection:
            wrong = connection.execute(
                "select * from ops.landed_files where rows_in <> accepted + quarantined + duplicates + suppressed"
            ).fetchall()
            assert wrong == []
            for (table,) in connection.execute(
                "select distinct source || '__' || table_name from ops.landed_files"
            ).fetchall():
                counted = connection.execute(
                    f"""
                    select file_id, accepted - erased, quarantined,
                        (select count(*) from raw.{table} where _file_id = file_id),
                        (select count(*) from ops.quarantine as q where q.file_id = f.file_id),
                        (select count(*) from vault.quarantine as q where q.file_id = f.file_id and row_number > 0)
                    from ops.landed_files as f where source || '__' || table_name = '{table}'
                    """
                ).fetchall()
                for _, accepted, quarantined, raw, listed, kept in counted:
                    assert (accepted, quarantined, quarantined) == (raw, listed, kept)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    settings = load_settings({"THROUGHLINE_DATA": str(tmp_path / "data"), "THROUGHLINE_INBOX": str(inbox)})
    return Shop(settings, tmp_path)


@pytest.fixture
def content() -> Callable[[Settings], dict[str, list[tuple[Any, ...]]]]:
    """Everything that landing wrote, without the instants at which it did."""

    def read(settings: Settings) -> dict[str, list[tuple[Any, ...]]]:
        with open_warehouse(settings, with_vault=True) as connection:
            tables = connection.execute(
                "select database_name || '.' || schema_name || '.' || table_name from duckdb_tables() "
                "where database_name in ('warehouse', 'vault') order by 1"
            ).fetchall()
            return {
                table: sorted(
                    connection.execute(
                        f"select * exclude ({', '.join(hidden)}) from {table}" if hidden else f"select * from {table}"
                    ).fetchall(),
                    key=repr,
                )
                for (table,) in tables
                for hidden in [
                    [
                        r[0]
                        for r in connection.execute(
                            "select column_name from duckdb_columns() where database_name || '.' || schema_name || '.' "
                            "|| table_name = ? and column_name in "
                            "('_loaded_at', 'landed_at', 'quarantined_at', 'first_seen_at', 'modified_at')",
                            [table],
                        ).fetchall()
                    ]
                ]
            }

    return read
