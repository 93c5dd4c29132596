"""identity.links and its sightings, from staged rows to pairs: three nights worked by hand.

The models under test are built by dbt over hand-written stand-ins for the three staging models they read.
"""

import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
import yaml

from dagster_project.settings import DBT_DIR
from tests.identity.families import token

CONTRACTS = {
    "web": {"analytics": "granted"},
    "strict": {"analytics": "denied"},
}
COLUMNS = {
    "u": "user_id",
    "c": "crm_id",
    "e": "email",
    "j": "email",
    "d": "device_id",
    "a": "account_id",
}
# night, source, hour of January, what stands on the row; a name at the end is the event's key
EVENTS = [
    (1, "web", "01 09:00", "d1 u1"),
    (1, "web", "01 10:00", "d2 e1 u1 order"),
    (1, "web", "01 11:00", "d3 j1"),
    (1, "web", "01 12:00", "a1 u2"),
    (1, "strict", "01 13:00", "d9 u9"),
    (2, "web", "02 09:00", "d5 u1"),
    (2, "web", "02 10:00", "d2 e1"),
    (2, "strict", "02 11:00", "d9 u9"),
    (2, "web", "01 08:00", "d1 u1"),  # late: happened and was available before the first
    (1, "web", "01 15:00", "d7 u7 ticket"),
    (2, "web", "02 15:00", "d7 u8 ticket"),  # the ticket was u8's all along, and u7 is nowhere else
    (1, "web", "01 16:00", "d6 u6 again"),
    (2, "web", "01 16:00", "d6 u6 again"),  # the same row delivered twice: seen once
]
PROFILES = [(1, "web", "01 14:00", "c1 e1")]
CONSENTS = [
    (2, "web", "01 20:00", "u1", False),
    (2, "strict", "02 10:30", "d9", True),
    (3, "web", "03 08:00", "u1", True),
]

NIGHT_1 = {
    "d1 u1": ("deterministic", "01 09:00"),
    "d2 u1": ("deterministic", "01 10:00"),
    "e1 u1": ("deterministic", "01 10:00"),
    "d2 e1": ("deterministic", "01 10:00"),
    "order u1": ("order", "01 10:00"),
    "a1 u2": ("deterministic", "01 12:00"),
    "c1 e1": ("deterministic", "01 14:00"),
    "d7 u7": ("deterministic", "01 15:00"),
    "d6 u6": ("deterministic", "01 16:00"),
    "d9 u9": ("withheld", "01 13:00"),  # nobody agreed, and the contract does not either
}
NIGHT_2 = NIGHT_1 | {
    "d1 u1": ("withheld", "01 08:00"),  # u1 withdrew on the evening of the first
    "d2 u1": ("withheld", "01 10:00"),
    "e1 u1": ("withheld", "01 10:00"),
    "d2 e1": ("deterministic", "02 10:00"),  # the row with u1 is gone, the one without stays
    "d5 u1": ("withheld", "02 09:00"),
    "d9 u9": ("deterministic", "02 11:00"),  # d9 agreed just before the second row
    "d7 u8": ("deterministic", "02 15:00"),
}
del NIGHT_2["d7 u7"]
NIGHT_3 = NIGHT_2 | {
    "d1 u1": ("deterministic", "01 08:00"),  # u1 agreed anew, and had not refused when this happened
    "d2 u1": ("deterministic", "01 10:00"),
    "e1 u1": ("deterministic", "01 10:00"),
    "d2 e1": ("deterministic", "01 10:00"),
    # d5 u1 happened while u1 refused
}
# How often and when last, where a pair was seen more than once: with consent, as long as there is a row with it.
SEEN = {
    1: {},
    2: {"d1 u1": (2, "01 09:00"), "d6 u6": (1, "01 16:00"), "d9 u9": (1, "02 11:00"), "d2 e1": (1, "02 10:00")},
    3: {"d1 u1": (2, "01 09:00"), "d6 u6": (1, "01 16:00"), "d9 u9": (1, "02 11:00"), "d2 e1": (2, "02 10:00")},
}


def at(text: str) -> datetime:
    return datetime.strptime(f"2026-01-{text}", "%Y-%m-%d %H:%M")


def name_of(text: str) -> str:
    return "order:shop:7" if text == "order" else token(text)


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A dbt project with the real identity models and macros, and stand-ins for staging."""
    project = tmp_path_factory.mktemp("project")
    for part in ("macros", "models/identity"):
        # The log shows what Python resolved; it is no step on the way to links.
        shutil.copytree(DBT_DIR / part, project / part, ignore=shutil.ignore_patterns("*.yml", "link_log.sql"))
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(DBT_DIR / name, project / name)
    staging = project / "models" / "staging"
    staging.mkdir()
    for shape in ("events", "profiles", "consents"):
        (staging / f"{shape}.sql").write_text(
            "select * from (select "
            "{% for name, type in canonical_columns('" + shape + "') %}"
            "cast({{ 'given.' ~ name if name in var('given')['" + shape + "'] else 'null' }} as {{ type }})"
            " as {{ name }}, {% endfor %}"
            f"from given.{shape} as given) where {{{{ is_known('available_at') }}}}"
        )
    sources = [
        {"name": name, "config": {"meta": {"landing": {"consent_default": default}}}, "tables": [{"name": "t"}]}
        for name, default in CONTRACTS.items()
    ]
    (staging / "sources.yml").write_text(yaml.safe_dump({"version": 2, "sources": sources}))
    return project


def deliver(path: Path, night: int) -> dict[str, list[str]]:
    """Write the rows that had landed by a night; return the columns of each table."""
    identifiers = sorted(set(COLUMNS.values()))
    tables = {
        "events": (["event_key", "source", "source_table", "occurred_at", "available_at", "_loaded_at"], EVENTS),
        "profiles": (["profile_key", "source", "source_table", "changed_at", "available_at", "_loaded_at"], PROFILES),
        "consents": (["identifier", "source", "source_table", "said_at", "available_at", "_loaded_at"], CONSENTS),
    }
    columns: dict[str, list[str]] = {}
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema if not exists given")
        for table, (common, given) in tables.items():
            more = ["purpose", "is_granted"] if table == "consents" else [*identifiers, "order_id"]
            rows: dict[str, list] = {}
            for number, (landed, source, when, names, *said) in enumerate(given):
                if landed > night:
                    continue
                words = ("order", "ticket", "again")
                held = {COLUMNS[name[0]]: token(name) for name in names.split() if name not in words}
                order = "shop:7" if "order" in names else None
                named = next((word for word in ("ticket", "again") if word in names), f"{table} {number}")
                key = token(names) if table == "consents" else named
                rest = ["analytics", *said] if said else [*map(held.get, identifiers), order]
                # A ticket that comes again replaces its row, as staging's events do.
                rows[key if table != "consents" and key != "again" else str(number)] = [
                    *(key, source, "t", at(when), at(when), at(f"{landed + 1:02} 02:00")),
                    *rest,
                ]
            columns[table] = [*common, *more] if table != "profiles" else [*common, *identifiers]
            types = [
                *["varchar"] * 3,
                *["timestamp"] * 3,
                *(["varchar", "boolean"] if table == "consents" else ["varchar"] * len(more)),
            ]
            defined = ", ".join(f"{name} {kind}" for name, kind in zip([*common, *more], types, strict=True))
            connection.execute(f"create or replace table given.{table} ({defined})")
            for values in rows.values():
                connection.execute(f"insert into given.{table} values ({', '.join('?' * len(types))})", values)
    return columns


def build(project: Path, path: Path, monkeypatch, *, night: int, since: int, but: Sequence[str] = ()) -> None:
    """One night of dbt: what landed by `night`, after a last completed night `since`; some models not reached."""
    from dbt.cli.main import dbtRunner

    path.parent.mkdir(exist_ok=True)
    variables = {
        "given": deliver(path, night),
        "as_of": f"2026-01-{night:02} 23:59:59.999999",
        "previous_as_of": f"2026-01-{since:02} 23:59:59.999999" if since else "1900-01-01",
        "previous_loaded_at": f"2026-01-{since + 1:02} 03:00:00" if since else "1900-01-01",
    }
    monkeypatch.setenv("THROUGHLINE_WAREHOUSE", str(path))
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
    where = ["--project-dir", str(project), "--profiles-dir", str(project)]
    result = dbtRunner().invoke(["run", *where, "--quiet", "--vars", yaml.safe_dump(variables), *but])
    assert result.success, result.exception or [step.message for step in result.result]


def links(path: Path) -> dict[tuple[str, str], tuple[str, datetime]]:
    with duckdb.connect(str(path)) as connection:
        rows = connection.execute(
            "select identifier_a, identifier_b, link_kind, first_available_at, first_occurred_at from identity.links"
        ).fetchall()
    assert all(row[3] == row[4] for row in rows)
    assert len({row[:2] for row in rows}) == len(rows)
    return {row[:2]: row[2:4] for row in rows}


def expected(night: dict[str, tuple[str, str]]) -> dict[tuple[str, str], tuple[str, datetime]]:
    return {tuple(sorted(map(name_of, pair.split()))): (kind, at(when)) for pair, (kind, when) in night.items()}


def seen(path: Path) -> dict[tuple[str, str], tuple[int, datetime]]:
    with duckdb.connect(str(path)) as connection:
        rows = connection.execute(
            "select identifier_a, identifier_b, seen_count, last_occurred_at from identity.links"
        ).fetchall()
    return {row[:2]: row[2:] for row in rows}


def expected_seen(night: int, pairs: dict[str, tuple[str, str]]) -> dict[tuple[str, str], tuple[int, datetime]]:
    """Once and when first, except where said otherwise."""
    counted = {pair: (1, when) for pair, (_, when) in pairs.items()} | SEEN[night]
    return {tuple(sorted(map(name_of, pair.split()))): (count, at(when)) for pair, (count, when) in counted.items()}


def sightings(path: Path) -> dict[str, datetime]:
    with duckdb.connect(str(path)) as connection:
        rows = connection.execute("select identifier, first_available_at from identity.identifier_sightings").fetchall()
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def test_links_follow_consent_and_nights_equal_one_full_build(project, tmp_path, monkeypatch):
    nightly = tmp_path / "nightly" / "warehouse.duckdb"
    build(project, nightly, monkeypatch, night=1, since=0)
    assert links(nightly) == expected(NIGHT_1)
    assert seen(nightly) == expected_seen(1, NIGHT_1)
    # The second night dies when it has taken the rows over and linked nothing yet, and is repeated.
    build(project, nightly, monkeypatch, night=2, since=1, but=["--exclude", "links", "identifier_sightings"])
    build(project, nightly, monkeypatch, night=2, since=1)
    assert links(nightly) == expected(NIGHT_2)
    assert seen(nightly) == expected_seen(2, NIGHT_2)
    build(project, nightly, monkeypatch, night=3, since=2)
    assert links(nightly) == expected(NIGHT_3)
    assert seen(nightly) == expected_seen(3, NIGHT_3)
    assert sightings(nightly) == {
        token("d1"): at("01 08:00"),
        token("u1"): at("01 08:00"),
        token("d2"): at("01 10:00"),
        token("e1"): at("01 10:00"),
        "order:shop:7": at("01 10:00"),
        token("d3"): at("01 11:00"),
        token("a1"): at("01 12:00"),
        token("u2"): at("01 12:00"),
        token("d9"): at("01 13:00"),
        token("u9"): at("01 13:00"),
        token("c1"): at("01 14:00"),
        token("d5"): at("02 09:00"),
        token("d7"): at("02 15:00"),
        token("d6"): at("01 16:00"),
        token("u6"): at("01 16:00"),
        token("u8"): at("02 15:00"),
    }

    whole = tmp_path / "whole" / "warehouse.duckdb"
    build(project, whole, monkeypatch, night=3, since=0)
    assert links(whole) == links(nightly)
    assert seen(whole) == seen(nightly)
    assert sightings(whole) == sightings(nightly)
