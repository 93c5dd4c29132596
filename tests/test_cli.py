"""The command line: what it prints, and one sentence for what went wrong."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest

from dagster_project.cli import main
from dagster_project.instance import QUIET
from dagster_project.publishing.versions import current_version
from dagster_project.settings import Settings
from dagster_project.warehouse import open_warehouse
from tests.conftest import Demo, environment_of, throughline


@pytest.fixture
def here(data: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty data folder that this process's settings name."""
    for name, value in environment_of(data).items():
        monkeypatch.setenv(name, value)
    return data


def one_sentence(text: str) -> str:
    """The single line on standard error, checked to be one."""
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("throughline: ") and lines[0].endswith((".", ")"))
    assert "Traceback" not in text
    return lines[0]


def test_run_tells_each_step_the_health_and_where_to_look(demo: Demo) -> None:
    steps = [line.split()[0] for line in demo.output.splitlines() if line.startswith("  ")]
    assert steps.index("raw__segment__tracks") < steps.index("staging_and_links") < steps.index("published__current")
    assert "trial_to_paid" in demo.output
    version = current_version(demo.settings)
    assert version is not None and version.version_id in demo.output
    assert str(demo.settings.published / "current") in demo.output
    assert "DEBUG" not in demo.output


def test_run_prints_the_health_that_is_published(demo: Demo) -> None:
    version = current_version(demo.settings)
    assert version is not None
    with duckdb.connect(str(version.database_path), read_only=True) as connection:
        rows = connection.execute(
            """
            select journey, round(health_score)::integer
            from journey_health_scores
            where segment = 'all' and channel = 'all' and week_start_date = date '2026-06-22'
            """
        ).fetchall()
    printed = {line.split()[0]: line.split()[1:3] for line in demo.output.splitlines() if "2026-06-22" in line}
    assert printed == {journey: ["2026-06-22", str(score)] for journey, score in rows}


def test_status_tells_runs_ledger_version_and_alerts(demo: Demo, monkeypatch, capsys) -> None:
    for name, value in environment_of(demo.settings).items():
        monkeypatch.setenv(name, value)
    assert main(["status"]) == 0
    printed = capsys.readouterr().out
    with open_warehouse(demo.settings, read_only=True) as connection:
        [(rows,)] = connection.execute("select count(*) from raw.segment__tracks").fetchall()
    [tracks] = [line for line in printed.splitlines() if line.split()[:1] == ["segment/tracks"]]
    assert f"{rows:,}" in tracks
    assert "completed" in printed
    assert current_version(demo.settings).version_id in printed
    assert "Alerts: none" in printed


def test_status_before_the_first_run(here: Settings, capsys) -> None:
    assert main(["status"]) == 0
    assert "There is no warehouse" in capsys.readouterr().out


def test_doctor_finds_nothing_wrong_with_an_empty_folder(here: Settings, capsys) -> None:
    assert main(["doctor"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert all(line.startswith("ok ") for line in printed)
    assert len(printed) == 8


def test_doctor_finds_an_open_key_and_a_missing_inbox(here: Settings, capsys) -> None:
    here.key_file.parent.mkdir(parents=True)
    here.key_file.write_bytes(bytes(32))
    here.key_file.chmod(0o644)
    here.inbox.rmdir()
    assert main(["doctor"]) == 1
    bad = [line for line in capsys.readouterr().out.splitlines() if line.startswith("BAD")]
    assert len(bad) == 2
    assert "chmod 600" in bad[1]


def test_demo_writes_where_it_is_told(tmp_path: Path, capsys) -> None:
    assert main(["demo", "--people", "40", "--days", "40", "--out", str(tmp_path / "exports")]) == 0
    assert (tmp_path / "exports" / "segment" / "tracks").is_dir()
    assert "rows in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("THROUGHLINE_TIMEZONE", "Mars/Olympus", "IANA"),
        ("THROUGHLINE_THREADS", "two", "whole number"),
        ("THROUGHLINE_AS_OF", "yesterday", "2026-01-31"),
        ("THROUGHLINE_INBOX", "/nowhere/at/all", "/nowhere/at/all"),
    ],
)
@pytest.mark.parametrize("command", ["run", "doctor"])
def test_a_bad_setting_is_one_sentence(
    here: Settings, monkeypatch: pytest.MonkeyPatch, capsys, name: str, value: str, word: str, command: str
) -> None:
    monkeypatch.setenv(name, value)
    assert main([command]) == 1
    printed = capsys.readouterr()
    assert word in printed.out + printed.err
    if printed.err:
        one_sentence(printed.err)


def test_a_bad_as_of_on_the_command_line_is_one_sentence(here: Settings, capsys) -> None:
    assert main(["run", "--as-of", "tomorrow"]) == 1
    assert "tomorrow" in one_sentence(capsys.readouterr().err)


def test_rollback_without_a_version_is_one_sentence(here: Settings, capsys) -> None:
    assert main(["rollback"]) == 1
    assert "Nothing has been published" in one_sentence(capsys.readouterr().err)


def test_replay_with_nothing_quarantined_says_so(here: Settings, capsys) -> None:
    assert main(["replay"]) == 0
    assert "Nothing is quarantined" in capsys.readouterr().out


def test_replay_exports_the_quarantined_rows_with_their_reasons(here: Settings, tmp_path: Path, capsys) -> None:
    from dagster_project.landing.contracts import load_contracts
    from dagster_project.landing.landing import land_table

    folder = here.inbox / "segment" / "tracks"
    folder.mkdir(parents=True)
    (folder / "a.jsonl").write_text('{"type": "track", "event": "Signed Up"}\n')
    land_table(here, next(c for c in load_contracts() if c.name == "segment__tracks"))
    assert main(["replay", "--export", str(tmp_path / "rows.jsonl")]) == 0
    [row] = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert row["table"] == "tracks" and row["reason"]
    capsys.readouterr()
    assert main(["status"]) == 0
    assert row["reason"] in capsys.readouterr().out


def test_a_wrong_key_stops_the_run_in_one_sentence(here: Settings) -> None:
    assert main(["replay"]) == 0
    here.key_file.chmod(0o600)
    here.key_file.write_bytes(bytes(range(32)))
    finished = throughline("run")
    assert finished.returncode == 1
    assert "key" in one_sentence(finished.stderr)


def test_a_locked_warehouse_stops_the_run_in_one_sentence(here: Settings) -> None:
    here.data.mkdir(parents=True)
    with duckdb.connect(str(here.warehouse_path)):
        finished = throughline("run")
    assert finished.returncode == 1
    assert "in use by another process" in one_sentence(finished.stderr)


def test_a_run_turns_every_telemetry_off(here: Settings) -> None:
    import yaml

    from dagster_project.instance import open_instance

    with open_instance(here) as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
    config = yaml.safe_load((here.data / "dagster" / "dagster.yaml").read_text())
    assert config["telemetry"] == {"enabled": False}
    import os

    assert {name: os.environ[name] for name in QUIET} == QUIET
