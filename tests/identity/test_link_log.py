"""identity.link_log: all kinds of evidence in one list, each with what became of it, worked by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pytest
import yaml

from dagster_project.settings import DBT_DIR

# As of the end of 5 January in India, which is 18:30 UTC.
TIMEZONE, AS_OF = "Asia/Kolkata", "2026-01-05 18:29:59.999999"

TABLES = """
    create schema identity; create schema staging;
    create table identity.links as select * replace (cast(confidence as double) as confidence) from (values
        ('d1', 'u1', 'web', 'deterministic', 1.0, '2026-01-01', '2026-01-04', '2026-01-01', 7),
        ('d1', 'u1', 'app', 'deterministic', 1.0, '2026-01-02', '2026-01-02', '2026-01-03', 1),
        ('d2', 'u1', 'web', 'deterministic', 1.0, '2026-01-02', '2026-01-02', '2026-01-02', 1),
        ('d9', 'u1', 'web', 'withheld', 1.0, '2026-01-02', '2026-01-02', '2026-01-02', 1),
        ('a1', 'u1', 'web', 'deterministic', 1.0, '2026-01-02', '2026-01-02', '2026-01-02', 1),
        ('order:1', 'u1', 'web', 'order', 1.0, '2026-01-02', '2026-01-02', '2026-01-02', 1)
    ) as links(
        identifier_a, identifier_b, source, link_kind, confidence, first_occurred_at, last_occurred_at,
        first_available_at, seen_count
    );
    create table identity.identifiers as from (values
        ('u1', 'p1'), ('d1', 'p1'), ('e1', 'p1'), ('d2', 'p2'), ('u2', 'p3'), ('e2', 'p4'), ('d9', 'p5'), ('a1', null),
        ('order:1', null)
    ) as identifiers(identifier, person_id);
    create table identity.refused_links as from (values
        ('d2', 'u1', 'deterministic', 'shared device'),
        ('e2', 'u2', 'probabilistic', 'an override says never: two brothers')
    ) as refused(identifier_a, identifier_b, link_kind, reason);
    create table staging.identity_overrides as
    select * replace (cast(decided_on as date) as decided_on) from (values
        ('u2', 'e2', 'never', 'two brothers', '2026-01-03'),
        ('u1', 'e1', 'always', 'she called', '2026-01-05'),
        ('e1', 'u1', 'always', 'again', '2026-01-04'),
        ('u1', 'x1', 'always', 'will come', '2026-01-01'),
        ('u1', 'e2', 'always', 'decided tomorrow', '2026-01-06')
    ) as said(identifier_a, identifier_b, verdict, reason, decided_on);
"""
PROBABLE = """
    create table identity.probabilistic_links as
    select * replace (
        cast(first_available_at as timestamp) as first_available_at, cast(confidence as double) as confidence
    )
    from (values
        ('e1', 'u1', 'profiles', 'probabilistic', 'strong', 0.995, 8.25, '2026-01-01', '2026-01-01', '2026-01-02', 1),
        ('e2', 'u2', 'profiles', 'probabilistic', 'probable', 0.93, 4.5, '2026-01-01', '2026-01-01', '2026-01-02', 1),
        ('e2', 'u1', 'profiles', 'probabilistic', 'strong', 0.995, 8.0, '2026-01-01', '2026-01-01', '2026-01-06', 1)
    ) as likely(
        identifier_a, identifier_b, source, link_kind, tier, confidence, match_weight, first_occurred_at,
        last_occurred_at, first_available_at, seen_count
    )
"""
SEEN = [
    ("a1", "u1", "web", "deterministic", None, 1.0, 1, "no person", None),
    ("d1", "u1", "app", "deterministic", None, 1.0, 1, "joined", None),
    ("d1", "u1", "web", "deterministic", None, 1.0, 7, "joined", None),
    ("d2", "u1", "web", "deterministic", None, 1.0, 1, "refused", "shared device"),
    ("d9", "u1", "web", "withheld", None, 1.0, 1, "withheld", None),
]
SAID = [
    # Said twice, first on the 4th.
    ("e1", "u1", "identity_overrides", "manual", "always", 1.0, 2, "joined", None),
    ("e2", "u2", "identity_overrides", "manual", "never", 0.0, 1, "kept apart", None),
    ("u1", "x1", "identity_overrides", "manual", "always", 1.0, 1, "waiting", None),
]
LIKELY = [
    ("e1", "u1", "profiles", "probabilistic", "strong", 0.995, 1, "joined", None),
    (
        *("e2", "u2", "profiles", "probabilistic", "probable", 0.93, 1, "refused"),
        "an override says never: two brothers",
    ),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dbt project of the log alone; the seed and the links are sources that stand there."""
    project = tmp_path_factory.mktemp("project")
    shutil.copytree(DBT_DIR / "macros", project / "macros")
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(DBT_DIR / name, project / name)
    models = project / "models" / "identity"
    models.mkdir(parents=True)
    log = (DBT_DIR / "models" / "identity" / "link_log.sql").read_text()
    for ref, place in (("links", "identity"), ("identity_overrides", "staging")):
        log = log.replace(f'ref("{ref}")', f'source("{place}", "{ref}")')
    (models / "link_log.sql").write_text(log)
    tables = {
        "identity": ["links", "identifiers", "refused_links", "probabilistic_links"],
        "staging": ["identity_overrides"],
    }
    sources = [
        {"name": place, "schema": place, "tables": [{"name": name} for name in names]}
        for place, names in tables.items()
    ]
    (models / "sources.yml").write_text(yaml.safe_dump({"version": 2, "sources": sources}))
    return project


def log_of(project: Path, warehouse: Path, monkeypatch: pytest.MonkeyPatch) -> duckdb.DuckDBPyConnection:
    from dbt.cli.main import dbtRunner

    monkeypatch.setenv("THROUGHLINE_WAREHOUSE", str(warehouse))
    where = ["--project-dir", str(project), "--profiles-dir", str(project)]
    variables = yaml.safe_dump({"as_of": AS_OF, "timezone": TIMEZONE})
    result = dbtRunner().invoke(["run", *where, "--quiet", "--vars", variables])
    assert result.success, result.exception or [step.message for step in result.result]
    return duckdb.connect(str(warehouse), read_only=True)


COLUMNS = "identifier_a, identifier_b, source, link_kind, tier, confidence, seen_count, outcome, refusal_reason"


def test_log_holds_every_kind_of_evidence_and_what_became_of_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was decided or became available after the as-of instant is not there yet, and orders link nobody."""
    warehouse = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute(TABLES + PROBABLE)
    with log_of(project, warehouse, monkeypatch) as connection:
        rows = connection.execute(f"select {COLUMNS} from identity.link_log").fetchall()
        [(decided_at,)] = connection.execute(
            """
            select cast(first_available_at as varchar) from identity.link_log
            where tier = 'always' and identifier_a = 'e1'
            """
        ).fetchall()
        weights = connection.execute(
            "select match_weight from identity.link_log where match_weight is not null order by all"
        ).fetchall()
    assert sorted(rows, key=str) == sorted([*SEEN, *SAID, *LIKELY], key=str)
    assert decided_at == "2026-01-04 18:29:59.999999"
    assert weights == [(4.5,), (8.25,)]
