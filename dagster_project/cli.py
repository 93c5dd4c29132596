"""The command line: one command a night, and the few that a person on call needs."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from dagster_project.errors import ThroughlineError
from dagster_project.settings import PROJECT_ROOT, Settings, load_settings, read_as_of

if TYPE_CHECKING:
    from dagster_project.erasure import Erased

# What `whois` and `erase` take.
_VALUE = "an e-mail, phone, user id … as an export writes it, a token or a person id; - reads them from standard input"
UI_PORT = 3000
MODELS_PORT = 5001
LEAST_FREE_BYTES = 1_000_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Instead of the process's own.

    Returns
    -------
    int
        0 if all went well, 1 if not; the reason is one sentence on standard error.
    """
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.command(chosen))
    except ThroughlineError as error:
        print(f"throughline: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("throughline: Interrupted; nothing is lost, run again.", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    from dagster_project.demo.generate import DEFAULT_DAYS, DEFAULT_PEOPLE, DEFAULT_SEED, DEFAULT_UNTIL

    parser = argparse.ArgumentParser(
        prog="throughline", description="Exports in, journeys and their health out, every night."
    )
    commands = parser.add_subparsers(required=True, metavar="command")

    demo = commands.add_parser("demo", help="write the demo company's exports")
    demo.add_argument("--seed", type=int, default=DEFAULT_SEED)
    demo.add_argument("--people", type=int, default=DEFAULT_PEOPLE)
    demo.add_argument("--days", type=int, default=DEFAULT_DAYS)
    demo.add_argument("--until", type=date.fromisoformat, default=DEFAULT_UNTIL, help="last day, as 2026-06-30")
    demo.add_argument("--out", type=Path, help="folder to write to (the inbox)")
    demo.add_argument("--truth", type=Path, help="folder for what is true of the company (none)")
    demo.add_argument("--incidents", choices=("all", "none"), default="all", help="what goes wrong on purpose (all)")
    demo.set_defaults(command=_demo)

    run = commands.add_parser("run", help="run the night: land, build, audit, publish")
    run.add_argument("--as-of", help="count only what was available by this day (2026-01-31) or time")
    run.set_defaults(command=_run)

    status = commands.add_parser("status", help="the last runs, what has landed, what is published, alerts")
    status.set_defaults(command=_status)

    replay = commands.add_parser("replay", help="land quarantined rows again, after the contract was mended")
    replay.add_argument("--source", help="only this source")
    replay.add_argument("--table", help="only this table")
    either = replay.add_mutually_exclusive_group()
    either.add_argument("--export", type=Path, metavar="FILE", help="write the quarantined rows here, for repair")
    either.add_argument("--repaired", type=Path, metavar="FILE", help="land the repaired rows of this file")
    replay.set_defaults(command=_replay)

    rollback = commands.add_parser("rollback", help="make an earlier published version current")
    rollback.add_argument("--to", metavar="VERSION", help="the version wanted (the one before)")
    rollback.set_defaults(command=_rollback)

    whois = commands.add_parser("whois", help="who an identifier belongs to: tokens, person, identifiers by type")
    whois.add_argument("values", metavar="VALUE", nargs="+", help=_VALUE)
    whois.set_defaults(command=_whois)

    erase = commands.add_parser("erase", help="erase people: rows, everything made of them, old versions, bytes")
    erase.add_argument("values", metavar="VALUE", nargs="+", help=_VALUE)
    erase.add_argument("--dry-run", action="store_true", help="say what would go, and do nothing")
    erase.add_argument("--later", action="store_true", help="leave what follows the rows to the next run")
    erase.set_defaults(command=_erase)

    models = commands.add_parser("models", help="the models: how good they are, which one scores and why")
    models.add_argument("--all", action="store_true", help="every version, not only the latest and the one that scores")
    models.add_argument("--ui", action="store_true", help="start MLflow's UI on this machine: runs, pictures, versions")
    models.add_argument("--port", type=int, default=MODELS_PORT, help="where the UI starts (the next free one)")
    models.set_defaults(command=_models)

    doctor = commands.add_parser("doctor", help="check everything a run needs")
    doctor.set_defaults(command=_doctor)

    ui = commands.add_parser("ui", help="start the Dagster UI, its schedule and its sensors on this machine")
    ui.add_argument("--port", type=int, default=UI_PORT)
    ui.set_defaults(command=_ui)
    return parser


# --- demo ---------------------------------------------------------------------------------------


def _demo(chosen: argparse.Namespace) -> int:
    from dagster_project.demo.generate import generate_demo

    out = chosen.out.absolute() if chosen.out else load_settings().inbox
    report = generate_demo(
        out=out,
        truth=chosen.truth.absolute() if chosen.truth else None,
        seed=chosen.seed,
        people=chosen.people,
        days=chosen.days,
        until=chosen.until,
        incidents=chosen.incidents == "all",
        progress=print,
    )
    print(f"{sum(report.rows.values()):,} rows in {report.files:,} files, in {report.out}.")
    if chosen.truth:
        print(f"What is true of it is in {chosen.truth}; nothing in the pipeline reads it.")
    return 0


def _make_demo_if_empty(settings: Settings) -> None:
    """Fill an inbox that nobody named and nobody filled."""
    if settings.is_inbox_given or (settings.inbox.is_dir() and any(settings.inbox.iterdir())):
        return
    from dagster_project.demo.generate import generate_demo

    print("The inbox is empty: writing the exports of the demo company into it.")
    generate_demo(out=settings.inbox, progress=print)


# --- run ----------------------------------------------------------------------------------------


def _run(chosen: argparse.Namespace) -> int:
    from dagster_project.instance import prepare_environment

    prepare_environment()
    settings = load_settings()
    if chosen.as_of:
        settings = replace(settings, as_of=read_as_of(chosen.as_of, timezone=settings.timezone))
    _need_inbox(settings)
    _make_demo_if_empty(settings)
    skipped = _unknown_sources(settings)

    from dagster_project.night import warehouse_holder
    from dagster_project.running import run_job

    if holder := warehouse_holder(settings):
        print(holder, flush=True)
    report = run_job(settings, as_of=chosen.as_of or "", tell=_teller())
    for line in skipped:
        print(line)
    if not report.is_success:
        print(f"throughline: {report.reason}", file=sys.stderr)
        return 1
    _print_outcome(settings, path=report.path, outcome=report.outcome)
    if settings.postgres_url:
        print(report.second_target)
    return 0


def _need_inbox(settings: Settings) -> None:
    if settings.is_inbox_given and not settings.inbox.is_dir():
        raise ThroughlineError(
            f"The inbox {settings.inbox} is no folder; create it or correct THROUGHLINE_INBOX, nothing was landed."
        )


def _unknown_sources(settings: Settings) -> list[str]:
    from dagster_project.landing.contracts import load_contracts
    from dagster_project.landing.ledger import unknown_sources
    from dagster_project.landing.misplaced import places_of_unknown

    contracts = load_contracts()
    unknown = unknown_sources(settings, contracts)
    skipped = [f"Skipped, because no contract names them: {', '.join(unknown)}."] if unknown else []
    return skipped + places_of_unknown(settings, contracts)


def _teller() -> Callable[[str], None]:
    """Print to the standard output of now, wherever Dagster redirects it later."""
    output = os.fdopen(os.dup(sys.stdout.fileno()), "w")

    def tell(line: str) -> None:
        output.write(f"{line}\n")
        output.flush()

    return tell


def _print_outcome(settings: Settings, *, path: Path, outcome: str) -> None:
    from dagster_project.publishing.versions import DATABASE_FILE, DICTIONARY_FILE, SITE_PAGE

    print()
    _print_health(path, settings=settings)
    _print_journeys(path)
    _print_identity(path)
    has_models = _print_models(path, settings=settings)
    print()
    print(outcome)
    print(f"Look at   {path / DATABASE_FILE}")
    print(f"          {path.parent.parent / 'current'} (always the current version)")
    print(f"          {path.parent.parent / 'current' / SITE_PAGE} (the map of the journeys)")
    print(f"          {path.parent.parent / 'current' / DICTIONARY_FILE} (what every table and column means)")
    print("          `make ui` for lineage, checks and pictures; `throughline status` for the ledger")
    if has_models:
        print("          `throughline models` for every version; `throughline models --ui` for MLflow")


def _print_health(path: Path, *, settings: Settings) -> None:
    """Print each journey's latest complete week, not split."""
    from dagster_project.publishing.versions import read_version
    from dagster_project.warehouse import open_database

    version = read_version(path)
    assert version is not None
    with open_database(version.database_path) as connection:
        rows = connection.execute(
            """
            select journey, week_start_date, health_score, health_low, health_high, status, reason
            from journey_health_scores
            where segment = 'all' and channel = 'all' and week_start_date + 6 <= ?::date
            qualify row_number() over (
                partition by journey order by health_score is not null desc, week_start_date desc
            ) = 1
            order by journey
            """,
            [_local_date(version.as_of, timezone=settings.timezone)],
        ).fetchall()
    if not rows:
        print("No journey has a complete week yet.")
        return
    print(f"{'journey':<26}{'week of':<13}{'health':>7}  {'95 %':<11}{'status':<10}reason")
    for journey, week, score, low, high, status, reason in rows:
        shown = f"{score:.0f}" if score is not None else "-"
        interval = f"{low:.0f} to {high:.0f}" if score is not None else ""
        print(f"{journey:<26}{week!s:<13}{shown:>7}  {interval:<11}{status or '-':<10}{reason or ''}")


def _print_journeys(path: Path) -> None:
    """Print how many set out and how that ended, what costs most, and what one cohort alone carries."""
    from dagster_project.publishing.summaries import tell_friction, tell_journeys
    from dagster_project.publishing.versions import read_version
    from dagster_project.warehouse import open_database

    version = read_version(path)
    assert version is not None
    with open_database(version.database_path) as connection:
        lines = tell_journeys(connection) + tell_friction(connection)
    if lines:
        print("\n" + "\n".join(lines))


def _print_identity(path: Path) -> None:
    """Print who was taken to be whom, and what conversion owes to hindsight."""
    from dagster_project.publishing.summaries import tell_identity
    from dagster_project.publishing.versions import read_version
    from dagster_project.warehouse import open_database

    version = read_version(path)
    assert version is not None
    with open_database(version.database_path) as connection:
        lines = tell_identity(connection)
    if lines:
        print("\n" + "\n".join(lines))


def _print_models(path: Path, *, settings: Settings) -> bool:
    """Print which models score and the segments; whether there is any model."""
    from dagster_project.publishing.summaries import tell_models, tell_segments
    from dagster_project.publishing.versions import read_version
    from dagster_project.warehouse import open_database

    version = read_version(path)
    assert version is not None
    # Scores of the night are as of the start of the day after it.
    tonight = _local_date(version.as_of, timezone=settings.timezone) + timedelta(days=1)
    told = _last_trainings(replace(settings, data=path.parents[2]))
    with open_database(version.database_path) as connection:
        models = tell_models(connection, tonight=tonight, told=told)
        segments = tell_segments(connection)
    for lines in (models, segments):
        if lines:
            print("\n" + "\n".join(lines))
    return bool(models or segments)


# Only what a champion does not stand for: the last training of a model without one, or after it.
_TRAININGS = """
    select trainings.model, arg_max(trainings.told, trainings.tried_as_of)
    from ops.trainings as trainings
    left join predictions.model_versions as champions
        on trainings.model = champions.model and champions.is_champion
    where champions.trained_as_of is null or trainings.tried_as_of > champions.trained_as_of
    group by trainings.model
    order by trainings.model
"""


def _last_trainings(settings: Settings) -> dict[str, str]:
    """By model, what its last training said that did not end in the champion."""
    from dagster_project.warehouse import open_warehouse

    # Held by the next run already: what this one did is published all the same.
    with suppress(ThroughlineError), open_warehouse(settings, read_only=True) as connection:
        found = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where database_name = current_database()"
        ).fetchall()
        if {("ops.trainings",), ("predictions.model_versions",)} <= set(found):
            return dict(connection.execute(_TRAININGS).fetchall())
    return {}


def _local_date(instant: datetime, *, timezone: str) -> date:
    from datetime import UTC
    from zoneinfo import ZoneInfo

    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(timezone)).date()


# --- status, replay, rollback -------------------------------------------------------------------


def _status(_: argparse.Namespace) -> int:
    from dagster_project.night import warehouse_holder
    from dagster_project.publishing.alerts import latest_alerts
    from dagster_project.publishing.versions import current_version

    settings = load_settings()
    if holder := warehouse_holder(settings):
        print(holder.removesuffix("; waiting for it to end.") + ".")
    elif settings.warehouse_path.is_file():
        _print_warehouse(settings)
        _print_erasures(settings)
    else:
        print(f"There is no warehouse in {settings.data} yet; `throughline run` makes it.")
    version = current_version(settings)
    print(
        f"Published: {version.version_id}, as of {version.as_of:%Y-%m-%d %H:%M} UTC, in {version.path}"
        if version
        else "Published: nothing yet"
    )
    if settings.postgres_url:
        from dagster_project.publishing.postgres import standing

        print(f"Second target: {standing(settings).summary}")
    alerts = latest_alerts(settings, limit=5)
    print("Alerts:" if alerts else "Alerts: none")
    for alert in alerts:
        print(f"  {alert.raised_at:%Y-%m-%d %H:%M} UTC  {alert.message}")
    return 0


_RUNS = "select started_at, as_of, status, completed_at from ops.runs order by started_at desc limit 5"
_LEDGER = """
    select
        source, table_name, count(*) filter (status = 'landed'), sum(rows_in), sum(accepted), sum(quarantined),
        sum(duplicates), sum(suppressed)
    from ops.landed_files
    group by all
    order by all
"""
_QUARANTINE = """
    select source, table_name, reason, count(*)
    from ops.quarantine
    group by all
    order by count(*) desc, source, table_name, reason
    limit 20
"""
# A file that failed and landed since is mended.
_FAILED = """
    select path, arg_max(reason, landed_at)
    from ops.landed_files
    group by path
    having arg_max(status, landed_at) = 'failed'
    order by path
    limit 20
"""


def _print_warehouse(settings: Settings) -> None:
    from dagster_project.warehouse import open_warehouse

    with open_warehouse(settings, read_only=True) as connection:
        tables = connection.execute("select table_name from duckdb_tables() where schema_name = 'ops'").fetchall()
        if not {("runs",), ("landed_files",), ("quarantine",)} <= set(tables):
            print("Nothing has landed yet.")
            return
        runs, ledger, quarantine, failed = (
            connection.execute(query).fetchall() for query in (_RUNS, _LEDGER, _QUARANTINE, _FAILED)
        )
    print("Runs:" if runs else "Runs: none yet")
    for started_at, as_of, status, completed_at in runs:
        # Some assets alone, such as those of the job retrain, are no night.
        told = (
            f"{status}, {(completed_at - started_at).total_seconds():.0f} s after landing"
            if completed_at
            else "not a whole night: under way, stopped, or of some assets alone"
        )
        print(f"  {started_at:%Y-%m-%d %H:%M} UTC  as of {as_of:%Y-%m-%d %H:%M} UTC  {told}")
    heads = ("files", "rows in", "accepted", "quarantined", "duplicates", "suppressed")
    print(f"{'Landed:':<38}" + "".join(f"{head:>13}" for head in heads))
    for source, table, *counts in ledger:
        print(f"  {f'{source}/{table}':<36}" + "".join(f"{int(count):>13,}" for count in counts))
    if quarantine:
        print("Quarantined (`throughline replay --export rows.jsonl` writes them):")
    for source, table, reason, count in quarantine:
        print(f"  {f'{source}/{table}':<36}{count:>13,}  {reason}")
    if failed:
        print("Files that could not be read (they are tried again every night):")
    for path, reason in failed:
        print(f"  {path}: {reason}")


def _print_erasures(settings: Settings) -> None:
    from dagster_project.erasure import standing

    if under_way := standing(settings):
        print(under_way)


def _replay(chosen: argparse.Namespace) -> int:
    from dagster_project.landing.contracts import load_contracts
    from dagster_project.landing.replay import export_quarantine, replay
    from dagster_project.night import hold_warehouse

    settings = load_settings()
    with hold_warehouse(settings, run_id="throughline replay", on_wait=print):
        if chosen.export:
            count = export_quarantine(settings, chosen.export, source=chosen.source, table=chosen.table)
            print(f"{count:,} quarantined rows are in {chosen.export}; mend `text`, then `replay --repaired` it.")
            return 0
        reports = replay(settings, load_contracts(), source=chosen.source, table=chosen.table, repaired=chosen.repaired)
    for report in reports:
        print(
            f"{report.source}/{report.table}: {report.tried:,} tried = {report.accepted:,} accepted + "
            f"{report.duplicates:,} duplicates + {report.suppressed:,} suppressed + "
            f"{report.quarantined:,} still quarantined."
        )
    print("The next run builds on them." if reports else "Nothing is quarantined.")
    return 0


def _rollback(chosen: argparse.Namespace) -> int:
    from dagster_project.publishing.versions import rollback

    settings = load_settings()
    version = rollback(settings, to=chosen.to)
    print(f"Version {version} is current; the next run that publishes something switches again.")
    if settings.postgres_url:
        from dagster_project.publishing.postgres import bring_up_to_date

        report = bring_up_to_date(settings, run_id="throughline rollback")
        print(report.summary, file=sys.stdout if report.is_current else sys.stderr)
        return 0 if report.is_current else 1
    return 0


# --- whois, erase -------------------------------------------------------------------------------


def _values(chosen: argparse.Namespace) -> list[str]:
    """What was asked for; from standard input it stays out of the shell's history."""
    given = [line for value in chosen.values for line in (sys.stdin.read().splitlines() if value == "-" else [value])]
    values = [value for value in given if value.strip()]
    if not values:
        raise ThroughlineError("Nobody is named; give an identifier, a token or a person id.")
    return values


def _whois(chosen: argparse.Namespace) -> int:
    from dagster_project.erasure import find, open_for_look, tell_person
    from dagster_project.landing.contracts import load_contracts

    values = _values(chosen)
    with open_for_look(load_settings()) as connection:
        persons, erased = find(connection, load_contracts(), values)
    for person in persons:
        print("\n".join(tell_person(person)))
    for line in erased:
        print(line)
    return 0


def _erase(chosen: argparse.Namespace) -> int:
    from dagster_project.instance import prepare_environment

    prepare_environment()
    settings = load_settings()

    from dagster_project import erasure
    from dagster_project.landing.contracts import load_contracts
    from dagster_project.night import hold_warehouse

    values = _values(chosen)
    if chosen.dry_run:
        _print_erased(erasure.foretell(settings, load_contracts(), values), is_done=False)
        print("Nothing was done.")
        return 0
    with hold_warehouse(settings, run_id="throughline erase", on_wait=print):
        report = erasure.erase(settings, load_contracts(), values)
    _print_erased(report, is_done=True)
    under_way = erasure.standing(settings)
    if under_way is None:
        return 0
    if chosen.later:
        print(
            "Tables made of these rows, older versions and the files' free space still hold them: the next run ends it."
        )
        return 0
    return _rebuild_without(settings)


def _print_erased(report: Erased, *, is_done: bool) -> None:
    """Say who goes, what goes, what stays, and what is left to a person; never a readable value."""
    from dagster_project.erasure import tell_person

    for person in report.persons:
        print(tell_person(person)[0] if is_done else "\n".join(tell_person(person)))
    if report.persons or report.purged.row_count:
        print(f"{'Deleted' if is_done else 'Would be deleted'}: {report.purged.row_count:,} rows that carry them")
        for table, count in report.purged.rows.items():
            print(f"  {table:<36}{count:>13,}")
        if is_done:
            print(f"  {'message texts':<36}{report.purged.texts:>13,}")
            print(f"  {'quarantined':<36}{report.purged.quarantined:>13,}")
        print(f"Anonymous events that stay on their device and belong to nobody: {report.unowned_events:,}")
    if report.purged.paths:
        shown = report.purged.paths[:20]
        print(f"{len(report.purged.paths):,} files of the inbox hold such rows; they are yours to keep or to delete:")
        print("\n".join(f"  {path}" for path in shown))
        if len(shown) < len(report.purged.paths):
            print(f"  and {len(report.purged.paths) - len(shown):,} more")
    for line in report.told:
        print(line)


def _rebuild_without(settings: Settings) -> int:
    """Run the night that an erasure needs, and say how far it has come."""
    from dagster_project import erasure
    from dagster_project.night import last_completed
    from dagster_project.running import run_job
    from dagster_project.warehouse import open_warehouse

    with open_warehouse(settings, read_only=True) as connection:
        completed = last_completed(connection)
    # An as-of before the last run's would build a world apart and leave this one as it is.
    is_earlier = settings.as_of and completed and settings.as_of < completed[0]
    print("Everything is built anew without them:", flush=True)
    report = run_job(settings, as_of=f"{completed[0].isoformat()}" if is_earlier and completed else "", tell=_teller())
    under_way = erasure.standing(settings)
    if not report.is_success or under_way:
        reason = report.reason or report.erasures
        print(
            f"throughline: The rows are gone for good, but readers may still see what was made of them: {reason} "
            "Mend that and run `throughline run`, which goes on.",
            file=sys.stderr,
        )
        return 1
    print(report.outcome)
    print(report.erasures)
    return 0


# --- models -------------------------------------------------------------------------------------


def _models(chosen: argparse.Namespace) -> int:
    from dagster_project.publishing.summaries import tell_cards
    from dagster_project.publishing.versions import current_version
    from dagster_project.warehouse import open_database

    settings = load_settings()
    if chosen.ui:
        return _models_ui(settings, port=chosen.port)
    version = current_version(settings)
    if version is None:
        raise ThroughlineError(f"Nothing is published in {settings.published} yet; `throughline run` publishes.")
    with open_database(version.database_path) as connection:
        lines = tell_cards(connection, is_all=chosen.all)
    if not lines:
        print(f"There is no model yet in version {version.version_id}: a run trains one when enough people could act.")
        return 0
    print("\n".join(lines))
    print(f"\nOf version {version.version_id}; `throughline models --ui` shows runs and pictures.")
    return 0


def _models_ui(settings: Settings, *, port: int) -> int:
    """Run MLflow's UI until it is interrupted, and end everything that it has started."""
    from dagster_project.instance import prepare_environment

    prepare_environment()
    database = settings.mlflow_path.resolve()
    if not database.is_file():
        raise ThroughlineError(f"There is no model in {database} yet; `throughline run` trains the first when it can.")
    port = _free_port(port)
    environment = os.environ | {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        # Or it starts eight more processes, for jobs that nobody here has.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", f"sqlite:///{database}"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    log = settings.data / "mlflow_ui.log"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with log.open("w") as output:
        # A group of its own: the server's workers end with it.
        server = subprocess.Popen(
            command, env=environment, cwd=settings.data, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            print(f"MLflow starts on http://127.0.0.1:{port} (only this machine can reach it); Ctrl-C ends it.")
            print(f"It takes some ten seconds; its log is {log}.", flush=True)
            server.wait()
            raise ThroughlineError(f"MLflow ended by itself; the last lines of {log} say why.")
        finally:
            _end_group(server)


def _end_group(leader: subprocess.Popen[bytes], *, patience: float = 10.0) -> None:
    """End a process and all that it started: kindly first, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + patience
        try:
            os.killpg(leader.pid, number)
            while time.monotonic() < until:
                leader.poll()
                os.killpg(leader.pid, 0)
                time.sleep(0.05)
        except (ProcessLookupError, PermissionError):
            return


# --- doctor -------------------------------------------------------------------------------------


def _doctor(_: argparse.Namespace) -> int:
    settings = load_settings()
    checks: list[Callable[[Settings], str]] = [
        _check_python,
        _check_zone,
        _check_contracts,
        _check_journeys,
        _check_inbox,
        _check_key,
        _check_disk,
        _check_lock,
        _check_postgres,
    ]
    is_well = True
    for check in checks:
        try:
            print(f"ok    {check(settings)}")
        except ThroughlineError as error:
            print(f"BAD   {error}")
            is_well = False
    return 0 if is_well else 1


def _check_python(_: Settings) -> str:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        raise ThroughlineError(f"Python is {version}; Throughline needs 3.11 to 3.13.")
    return f"Python is {version}."


def _check_zone(settings: Settings) -> str:
    return f"Days are cut in {settings.timezone}."


def _check_contracts(_: Settings) -> str:
    from dagster_project.landing.contracts import load_contracts

    contracts = load_contracts()
    return f"{len(contracts)} tables of {len({c.source for c in contracts})} sources are contracted."


def _check_journeys(settings: Settings) -> str:
    from dagster_project.journeys import find_faults, find_unseen, look_for_events, read_definitions, tell_sights
    from dagster_project.night import warehouse_holder
    from dagster_project.warehouse import open_warehouse

    definitions = read_definitions()
    if faults := find_faults(definitions):
        raise ThroughlineError("\n      ".join(fault.sentence for fault in faults))
    told = f"{len(definitions.journeys)} journeys are defined"
    if warehouse_holder(settings) or not settings.warehouse_path.is_file():
        return f"{told}; there is no warehouse to say which of their events happen."
    with open_warehouse(settings, read_only=True) as connection:
        tables = connection.execute("select schema_name || '.' || table_name from duckdb_tables()").fetchall()
        if not {("timeline.customer_events",), ("journeys.attempt_stages",), ("journeys.attempts",)} <= set(tables):
            return f"{told}; the warehouse has no journeys yet to say which of their events happen."
        sights = look_for_events(connection, definitions)
        unseen, _ = find_unseen(connection, definitions, sights)
    lines = [f"{told}; their events, of people who are known and in all:", *tell_sights(sights)]
    lines += [f"note: {fault.sentence}" for fault in unseen]
    return "\n        ".join(lines)


def _check_inbox(settings: Settings) -> str:
    _need_inbox(settings)
    if not settings.inbox.is_dir():
        return f"The inbox {settings.inbox} is not there yet; the first run fills it with the demo."
    unknown = _unknown_sources(settings)
    return f"The inbox is {settings.inbox}." + "".join(f" {line}" for line in unknown)


def _check_key(settings: Settings) -> str:
    if not settings.key_file.is_file():
        if settings.warehouse_path.is_file():
            raise ThroughlineError(
                f"The key {settings.key_file} is missing but there is a warehouse made with it; put the key back."
            )
        return f"The key {settings.key_file} is made by the first run."
    mode = settings.key_file.stat().st_mode & 0o777
    if mode & 0o077:
        raise ThroughlineError(
            f"The key {settings.key_file} can be read by others (mode {mode:o}); run `chmod 600 {settings.key_file}`."
        )
    return f"The key is {settings.key_file}; keep a copy apart from the data."


def _check_disk(settings: Settings) -> str:
    folder = next(path for path in (settings.data, *settings.data.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE_BYTES:
        raise ThroughlineError(f"The disk that holds {settings.data} has {free / 1e9:.1f} GB left; free some space.")
    if not os.access(folder, os.W_OK):
        raise ThroughlineError(f"{folder} cannot be written; change its owner or set THROUGHLINE_DATA.")
    return f"The data folder {settings.data} has {free / 1e9:.0f} GB left."


def _check_lock(settings: Settings) -> str:
    from dagster_project.night import warehouse_holder
    from dagster_project.warehouse import open_warehouse

    if holder := warehouse_holder(settings):
        raise ThroughlineError(holder.removesuffix("; waiting for it to end.") + "; wait for it.")
    if not settings.warehouse_path.is_file():
        return "There is no warehouse yet."
    with open_warehouse(settings, read_only=True):
        return f"The warehouse {settings.warehouse_path} is free."


def _check_postgres(settings: Settings) -> str:
    from dagster_project.publishing.postgres import NO_TARGET, standing

    if not settings.postgres_url:
        return NO_TARGET
    report = standing(settings)
    if report.problem:
        raise ThroughlineError(report.summary)
    return report.summary


# --- ui -----------------------------------------------------------------------------------------


def _ui(chosen: argparse.Namespace) -> int:
    from dagster_project.instance import mark_dead_runs, open_instance, prepare_environment

    prepare_environment()
    settings = load_settings()
    with open_instance(settings) as instance:
        mark_dead_runs(instance, settings)
    port = _free_port(chosen.port)
    binaries = Path(sys.executable).parent
    environment = os.environ | {
        "DAGSTER_HOME": str(settings.data / "dagster"),
        "THROUGHLINE_DATA": str(settings.data),
    }
    workspace = str(PROJECT_ROOT / "workspace.yaml")
    quiet = ["-w", workspace, "--log-level", "warning", "--code-server-log-level", "warning"]
    commands = [
        [
            str(binaries / "dagster-webserver"),
            "-h",
            "127.0.0.1",
            "-p",
            str(port),
            "--dagster-log-level",
            "warning",
            *quiet,
        ],
        [str(binaries / "dagster-daemon"), "run", *quiet],
    ]
    log = settings.data / "dagster" / "ui.log"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with log.open("w") as output:
        children = [
            subprocess.Popen(command, env=environment, cwd=PROJECT_ROOT, stdout=output, stderr=subprocess.STDOUT)
            for command in commands
        ]
        try:
            print(f"The UI starts on http://127.0.0.1:{port} (only this machine can reach it); Ctrl-C ends it.")
            print(f"Its log is {log}.", flush=True)
            os.wait()
            raise ThroughlineError(f"The UI ended by itself; the last lines of {log} say why.")
        finally:
            for child in children:
                child.terminate()
            for child in children:
                child.wait()


def _free_port(wanted: int) -> int:
    for port in range(wanted, wanted + 50):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ThroughlineError(f"No port from {wanted} to {wanted + 49} is free; give another with --port.")
