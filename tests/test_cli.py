"""The command line: what it prints, and one sentence for what went wrong."""

from __future__ import annotations

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from dagster_project.cli import _end_group, _last_trainings, main
from dagster_project.instance import QUIET
from dagster_project.publishing.versions import current_version
from dagster_project.settings import PROJECT_ROOT, Settings
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


def test_run_tells_as_many_attempts_as_entered_the_funnels(demo: Demo) -> None:
    version = current_version(demo.settings)
    assert version is not None
    with duckdb.connect(str(version.database_path), read_only=True) as connection:
        ((attempts, journeys, still_open),) = connection.execute(
            """
            select sum(entered_count) filter (stage_order = 1), count(distinct journey), sum(open_count)
            from journey_stages
            where week = 'all' and segment = 'all'
            """
        ).fetchall()
    told = next(line for line in demo.output.splitlines() if line.startswith("Journeys: "))
    assert told.startswith(f"Journeys: {journeys} with {attempts:,} attempts of ")
    assert told.endswith(f" lost, {still_open:,} open.")


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
    assert len(printed) == 9


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


@pytest.mark.parametrize("command", ["whois", "erase"])
def test_without_a_name_nobody_is_meant(here: Settings, capsys, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert main([command, "-", " "]) == 1
    assert "Nobody is named" in one_sentence(capsys.readouterr().err)


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

    assert {name: os.environ[name] for name in QUIET} == QUIET


def test_models_before_anything_is_published_and_without_a_registry_are_one_sentence(here: Settings, capsys) -> None:
    assert main(["models"]) == 1
    assert "Nothing is published" in one_sentence(capsys.readouterr().err)
    assert main(["models", "--ui"]) == 1
    assert "There is no model" in one_sentence(capsys.readouterr().err)


def test_models_tells_the_cards_of_the_published_version(demo: Demo, monkeypatch, capsys) -> None:
    for name, value in environment_of(demo.settings).items():
        monkeypatch.setenv(name, value)
    version = current_version(demo.settings)
    with duckdb.connect(str(version.database_path), read_only=True) as connection:
        models = [name for (name,) in connection.execute("select distinct model from model_cards").fetchall()]
    assert main(["models"]) == 0
    printed = capsys.readouterr().out
    assert version.version_id in printed
    assert set(models) <= set(printed.splitlines())
    assert models or "There is no model yet" in printed


def test_a_training_is_told_where_it_did_not_end_in_the_champion(here: Settings) -> None:
    assert _last_trainings(here) == {}
    with open_warehouse(here) as connection:
        connection.execute(
            """
            create table ops.trainings as
            from (values
                ('pays', timestamp '2026-06-01', 'Version 1 is the first.'),
                ('pays', timestamp '2026-06-08', 'Version 2 took over.'),
                ('cancels', timestamp '2026-06-01', 'Only 3 rows are positive.'),
                ('cancels', timestamp '2026-06-08', 'Only 12 rows are positive.'),
                ('upgrades', timestamp '2026-06-08', 'Version 2 is not better beyond noise.')
            ) as trainings(model, tried_as_of, told);
            """
        )
    assert _last_trainings(here) == {}
    with open_warehouse(here) as connection:
        connection.execute(
            """
            create or replace table predictions.model_versions as
            from (values
                ('pays', true, timestamp '2026-06-08'),
                ('pays', false, timestamp '2026-06-01'),
                ('upgrades', true, timestamp '2026-06-01')
            ) as versions(model, is_champion, trained_as_of)
            """
        )
    assert _last_trainings(here) == {
        "cancels": "Only 12 rows are positive.",
        "upgrades": "Version 2 is not better beyond noise.",
    }
    locker = "import duckdb, sys; connection = duckdb.connect(sys.argv[1]); print('locked', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", locker, str(here.warehouse_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"locked\n"
        assert _last_trainings(here) == {}
        other.communicate(b"\n")


def is_gone(pid: int) -> bool:
    """Whether a process has ended; whoever inherited it may take a moment to notice."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


FAKE_MLFLOW = """
import json, os, subprocess, sys, time
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
told = {"arguments": sys.argv[1:], "pids": [os.getpid(), child.pid], "environment": dict(os.environ)}
Path("told.partial").write_text(json.dumps(told))
Path("told.partial").rename("told.json")
time.sleep(600)
"""


def test_models_ui_runs_mlflow_on_this_machine_alone_and_ends_all_of_it(here: Settings, tmp_path: Path) -> None:
    (tmp_path / "stub" / "mlflow").mkdir(parents=True)
    (tmp_path / "stub" / "mlflow" / "__init__.py").touch()
    (tmp_path / "stub" / "mlflow" / "__main__.py").write_text(FAKE_MLFLOW)
    here.data.mkdir(parents=True)
    (here.data / "mlflow.db").touch()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        wanted = taken.getsockname()[1]
        command = ["import sys; from dagster_project.cli import main; sys.exit(main())", "models", "--ui", "--port"]
        process = subprocess.Popen(
            [sys.executable, "-c", *command, str(wanted)],
            env=os.environ | {"PYTHONPATH": f"{tmp_path / 'stub'}:{PROJECT_ROOT}"},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            told = here.data / "told.json"
            until = time.monotonic() + 60
            while not told.is_file() and time.monotonic() < until:
                time.sleep(0.05)
            process.terminate()
            printed, error = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, error) == (0, "")
    found = json.loads(told.read_text())
    options = dict(zip(found["arguments"][1::2], found["arguments"][2::2], strict=True))
    port = int(options.pop("--port"))
    assert found["arguments"][0] == "ui" and port > wanted and f"http://127.0.0.1:{port} " in printed
    assert options == {
        "--backend-store-uri": f"sqlite:///{(here.data / 'mlflow.db').resolve()}",
        "--host": "127.0.0.1",
        "--workers": "1",
    }
    for name, value in {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}.items():
        assert found["environment"][name] == value
    for pid in found["pids"]:
        assert is_gone(pid)


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "])
def test_a_group_is_ended_whether_its_leader_is_gone_or_its_members_will_not_go(trap: str) -> None:
    script = f"{trap}sleep 600 & echo $!; exec 1>&-; exit 0"
    leader = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True, text=True)
    with leader:
        child = int(leader.stdout.readline())
        os.kill(child, 0)
        _end_group(leader, patience=0.5)
    assert is_gone(child)


@pytest.mark.torture
def test_models_ui_serves_mlflow_itself(here: Settings) -> None:
    import urllib.request

    here.data.mkdir(parents=True)
    (here.data / "mlflow.db").touch()
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; from dagster_project.cli import main; sys.exit(main())", "models", "--ui"],
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        address = process.stdout.readline().split()[3]
        until, page = time.monotonic() + 120, b""
        while not page and time.monotonic() < until:
            with contextlib.suppress(OSError):
                page = urllib.request.urlopen(address, timeout=10).read()
            time.sleep(0.5)
        assert b"<title>MLflow</title>" in page
    finally:
        process.terminate()
        process.wait(timeout=60)
    with pytest.raises(OSError):
        urllib.request.urlopen(address, timeout=5)
