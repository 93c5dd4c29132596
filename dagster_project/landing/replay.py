"""Land quarantined rows again under today's contract, and fill newly named columns from the vault."""

from __future__ import annotations

import duckdb

from dagster_project.landing.contracts import TableContract


def backfill(connection: duckdb.DuckDBPyConnection, contract: TableContract, new: list[str], *, is_vault: bool) -> None:
    """Fill newly named columns from the fields that the vault kept."""
