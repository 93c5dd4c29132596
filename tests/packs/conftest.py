"""The packs' fixtures, landed once and staged once."""

from __future__ import annotations

import hashlib
import hmac
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from dagster_project.landing.contracts import load_contracts
from dagster_project.landing.landing import LandingReport, land_table, open_landing, prepare
from dagster_project.settings import DBT_DIR, Settings, load_settings
from dagster_project.warehouse import open_warehouse

FIXTURES = Path(__file__).parent / "fixtures"
PACKS = ("online_retail", "ravenstack", "segment", "stripe", "zendesk")
KEY = bytes(range(32))


@dataclass(frozen=True, kw_only=True)
class Landed:
    """A warehouse with exports in it."""

    settings: Settings
    reports: dict[str, LandingReport]


def token(kind: str, value: str, *, namespace: str = "") -> str:
    """An identifier's token by the definition: HMAC-SHA256 over type, namespace and value."""
    digest = hmac.new(KEY, f"{kind}|{namespace}|{value}".encode(), hashlib.sha256).hexdigest()[:32]
    return f"{kind}:{namespace}:{digest}" if namespace else f"{kind}:{digest}"


def land(data: Path, *, inbox: Path, sources: tuple[str, ...] = PACKS) -> Landed:
    """Land an inbox with the test key."""
    data.mkdir(parents=True)
    (data / "key").write_bytes(KEY)
    settings = load_settings({"THROUGHLINE_DATA": str(data), "THROUGHLINE_INBOX": str(inbox)})
    contracts = [contract for contract in load_contracts() if contract.source in sources]
    prepare(settings, load_contracts())
    with open_landing(settings) as connection:
        reports = {c.name: land_table(settings, c, connection=connection) for c in contracts}
    return Landed(settings=settings, reports=reports)


def stage(landed: Landed) -> None:
    """Build the packs' staging views and run their tests: one run of dbt."""
    target = landed.settings.data / "target"
    selected = ["event_taxonomy", *(f"path:models/staging/{pack}" for pack in PACKS)]
    result = subprocess.run(
        [
            *(sys.executable, "-c", "from dbt.cli.main import cli; cli()", "build"),
            *("--project-dir", str(DBT_DIR), "--profiles-dir", str(DBT_DIR)),
            *("--target-path", str(target), "--log-path", str(target), "--quiet", "--select", *selected),
        ],
        env=os.environ | {"THROUGHLINE_WAREHOUSE": str(landed.settings.warehouse_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def copied(folder: Path, *, is_broken: bool) -> Path:
    """Copy either the good or the broken fixtures into an inbox."""

    def unwanted(_folder: str, names: list[str]) -> list[str]:
        return [n for n in names if Path(n).suffix and n.startswith("broken") != is_broken]

    shutil.copytree(FIXTURES, folder, ignore=unwanted)
    return folder


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    """Every documented sample, landed and staged."""
    folder = tmp_path_factory.mktemp("samples")
    landed = land(folder / "data", inbox=copied(folder / "inbox", is_broken=False))
    stage(landed)
    return landed


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Landed:
    """Every broken file, landed."""
    folder = tmp_path_factory.mktemp("broken")
    return land(folder / "data", inbox=copied(folder / "inbox", is_broken=True))


@pytest.fixture
def warehouse(samples: Landed) -> Iterator[duckdb.DuckDBPyConnection]:
    """The samples' warehouse with its vault, for reading."""
    with open_warehouse(samples.settings, read_only=True, with_vault=True) as connection:
        yield connection


@pytest.fixture
def rows(warehouse: duckdb.DuckDBPyConnection) -> Callable[[str], list[tuple[object, ...]]]:
    """Ask the samples' warehouse."""
    return lambda query: warehouse.execute(query).fetchall()
