"""identity.links and its sightings, from staged rows to pairs: three nights worked by hand.

The models under test are built by dbt over hand-written stand-ins for the three staging models they read.
"""

import shutil
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
# night, source, hour of January, what stands on the row
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
    "d9 u9": ("withheld", "01 13:00"),  # nobody agreed, and the contract does not either
}
NIGHT_2 = NIGHT_1 | {
    "d1 u1": ("withheld", "01 08:00"),  # u1 withdrew on the evening of the first
    "d2 u1": ("withheld", "01 10:00"),
    "e1 u1": ("withheld", "01 10:00"),
    "d2 e1": ("deterministic", "02 10:00"),  # the row with u1 is gone, the one without stays
    "d5 u1": ("withheld", "02 09:00"),
    "d9 u9": ("deterministic", "02 11:00"),  # d9 agreed just before the second row
}
NIGHT_3 = NIGHT_2 | {
    "d1 u1": ("deterministic", "01 08:00"),  # u1 agreed anew, and had not refused when this happened
    "d2 u1": ("deterministic", "01 10:00"),
    "e1 u1": ("deterministic", "01 10:00"),
    "d2 e1": ("deterministic", "01 10:00"),
    # d5 u1 happened while u1 refused
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
        shutil.copytree(DBT_DIR / part, project / part, ignore=shutil.ignore_patterns("*.yml"))
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
    """Write the rows that had landed by a night."""
    identifiers = sorted(set(COLUMNS.values()))
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema if not exists given")
        for shape, rows, time in (("events", EVENTS, "occurred_at"), ("profiles", PROFILES, "changed_at")):
            columns = ["source", time, "available_at", "_loaded_at", *identifiers, "order_id"][
                : 10 - (shape != "events")
            ]
            connection.execute(
                f"create or replace table given.{shape} (source varchar, {time} timestamp, available_at timestamp, "
                f"_loaded_at timestamp, {', '.join(f'{name} varchar' for name in columns[4:])})"
            )
            for landed, source, when, names in rows:
                if landed <= night:
                    held = {COLUMNS[name[0]]: token(name) for name in names.split() if name != "order"}
                    order = ["shop:7" if "order" in names else None] if shape == "events" else []
                    values = [source, at(when), at(when), at(f"{landed + 1:02} 02:00")]
                    values += [held.get(column) for column in identifiers] + order
                    connection.execute(
                        f"insert into given.{shape} ({', '.join(columns)}) values ({', '.join('?' * len(values))})",
                        values,
                    )
        connection.execute(
            "create or replace table given.consents (source varchar, identifier varchar, purpose varchar, "
            "is_granted boolean, said_at timestamp, available_at timestamp, _loaded_at timestamp)"
        )
        for landed, source, when, name, is_granted in CONSENTS:
            if landed <= night:
                connection.execute(
                    "insert into given.consents values (?, ?, 'analytics', ?, ?, ?, ?)",
                    [source, token(name), is_granted, at(when), at(when), at(f"{landed + 1:02} 02:00")],
                )
    shapes = {"events": ["source", "occurred_at", "order_id"], "profiles": ["source", "changed_at"]}
    shapes = {shape: [*names, "available_at", "_loaded_at", *identifiers] for shape, names in shapes.items()}
    consents = ["source", "identifier", "purpose", "is_granted", "said_at", "available_at", "_loaded_at"]
    return {**shapes, "consents": consents}


def build(project: Path, path: Path, monkeypatch, *, night: int, since: int) -> None:
    """One night of dbt: what landed by `night`, after a last completed night `since`."""
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
    result = dbtRunner().invoke(["run", *where, "--quiet", "--vars", yaml.safe_dump(variables)])
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


def sightings(path: Path) -> dict[str, datetime]:
    with duckdb.connect(str(path)) as connection:
        rows = connection.execute("select identifier, first_available_at from identity.identifier_sightings").fetchall()
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def test_links_follow_consent_and_nights_equal_one_full_build(project, tmp_path, monkeypatch):
    nightly = tmp_path / "nightly" / "warehouse.duckdb"
    # The second night died after dbt, so the third starts from the first again.
    for night, since, pairs in ((1, 0, NIGHT_1), (2, 1, NIGHT_2), (3, 1, NIGHT_3)):
        build(project, nightly, monkeypatch, night=night, since=since)
        assert links(nightly) == expected(pairs), f"night {night}"
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
    }

    whole = tmp_path / "whole" / "warehouse.duckdb"
    build(project, whole, monkeypatch, night=3, since=0)
    assert links(whole) == links(nightly)
    assert sightings(whole) == sightings(nightly)
