"""dbt inside this process: its manifest kept ready, its nodes run, what happened told back.

dbt runs in the process of the run and not as a child: importing it three times a night would cost
7 s, parsing the project anew (its variables change every night) another 3 s each time, and a child
would go on writing to the warehouse after its parent was killed.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster_project.errors import ThroughlineError
from dagster_project.night import Night, source_digest
from dagster_project.settings import DBT_DIR, Settings

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest
    from dbt_common.events.event_manager import EventManager

# Made by `make setup` and shipped with the project; made again wherever the project's files differ from it.
PREPARED = DBT_DIR / "target"
MANIFEST = PREPARED / "manifest.json"
_PARSED = "partial_parse.msgpack"
# The tag, in memory alone, of the nodes that one invocation shall build.
_CHOSEN = "chosen_by_the_run"
_DIGEST = "project_digest"

_ALWAYS = ["--project-dir", str(DBT_DIR), "--profiles-dir", str(DBT_DIR), "--no-use-colors", "--no-version-check"]


@dataclass(frozen=True, kw_only=True)
class NodeResult:
    """What dbt says of one node.

    Attributes
    ----------
    unique_id : str
        dbt's name of the node.
    status : str
        ``success``, ``pass``, ``warn``, ``fail``, ``error`` or ``skipped``.
    message : str
        dbt's words.
    failures : int
        Rows a test found.
    seconds : float
        How long it took.
    """

    unique_id: str
    status: str
    message: str
    failures: int
    seconds: float

    @property
    def is_built(self) -> bool:
        """Whether the table, view or seed stands, or the test passed or only warned."""
        return self.status in ("success", "pass", "warn")


def prepare_manifest() -> Path:
    """Make sure that the manifest in ``dbt/target`` is that of the files in ``dbt``.

    A shipped manifest that fits is used as it is, without starting dbt.

    Returns
    -------
    Path
        The manifest.

    Raises
    ------
    ThroughlineError
        If dbt cannot read the project.
    """
    digest = f"{source_digest(DBT_DIR)} {DBT_DIR} {version('dbt-core')} {version('dbt-duckdb')}"
    marker = PREPARED / _DIGEST
    if marker.is_file() and MANIFEST.is_file() and marker.read_text() == digest:
        return MANIFEST
    PREPARED.mkdir(exist_ok=True)
    workshop = Path(tempfile.mkdtemp(dir=PREPARED, prefix="preparing-"))
    try:
        with _environment({"THROUGHLINE_WAREHOUSE": None, "DBT_KEEP_OPEN": None}):
            result = _invoke(["--quiet", "--log-level", "none", "parse", *_ALWAYS, *_output_paths(workshop)])
        if not result.success:
            raise ThroughlineError(f"dbt cannot read the project in {DBT_DIR}: {_in_one_line(result.exception)}")
        for name in (_PARSED, MANIFEST.name):
            (workshop / name).replace(PREPARED / name)
        marker.write_text(digest)
        _read_manifest.cache_clear()
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    return MANIFEST


def build(settings: Settings, *, night: Night, nodes: Sequence[str]) -> list[NodeResult]:
    """Build seeds and models and run tests, in the order of their dependencies.

    Parameters
    ----------
    settings : Settings
        Whose warehouse is built.
    night : Night
        The run's frame: what counts as known and as new.
    nodes : sequence of str
        Unique ids of the nodes to build; nothing else runs.

    Returns
    -------
    list of NodeResult
        One per node that dbt came to.

    Raises
    ------
    ThroughlineError
        If dbt could not start at all.
    """
    variables = {
        "as_of": _text(night.as_of),
        "previous_as_of": _text(night.previous_as_of),
        "previous_loaded_at": _text(night.previous_loaded_at),
        "timezone": settings.timezone,
    }
    arguments = [
        "--quiet",
        "--log-level",
        "none",
        "--log-level-file",
        "info",
        "build",
        *_ALWAYS,
        *_output_paths(settings.data / "dbt_target"),
        "--no-write-json",
        "--indirect-selection",
        "empty",
        "--vars",
        json.dumps(variables),
        *(["--full-refresh"] if night.is_full_build else []),
    ]
    engine = {
        "THROUGHLINE_WAREHOUSE": str(settings.warehouse_path),
        "THROUGHLINE_MEMORY_LIMIT": settings.memory_limit,
        "THROUGHLINE_THREADS": str(settings.threads or os.cpu_count()),
        "DBT_KEEP_OPEN": "True",
    }
    with _environment(engine):
        result = _invoke(arguments, nodes=nodes)
    if isinstance(result.exception, KeyboardInterrupt):
        raise result.exception
    if result.exception is not None:
        raise ThroughlineError(f"dbt stopped: {_in_one_line(result.exception)}")
    return [
        NodeResult(
            unique_id=node.node.unique_id,
            status=str(node.status),
            message=" ".join((node.message or "").split()),
            failures=node.failures or 0,
            seconds=node.execution_time,
        )
        for node in getattr(result.result, "results", [])
    ]


def _invoke(arguments: list[str], *, nodes: Sequence[str] | None = None) -> dbtRunnerResult:
    """Run a dbt command; with `nodes`, on the prepared manifest and for them alone."""
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner
    from dbt_common.events.event_manager_client import ctx_set_event_manager

    ctx_set_event_manager(_quiet_events())
    if nodes is None:
        return dbtRunner().invoke(arguments)
    manifest = _read_manifest()
    # One mark for all: dbt looks through every node for each name it is told, a second and more for hundreds.
    for node in nodes:
        manifest.nodes[node].tags.append(_CHOSEN)
    try:
        return dbtRunner(manifest=manifest).invoke([*arguments, "--select", f"tag:{_CHOSEN}"])
    finally:
        for node in nodes:
            manifest.nodes[node].tags.remove(_CHOSEN)
        # dbt keeps the file open for its next node; the next step of the run must be able to open it.
        if DuckDBConnectionManager._ENV is not None:
            DuckDBConnectionManager._ENV.close()
        DuckDBConnectionManager.close_all_connections()


def _quiet_events() -> EventManager:
    """Make what dbt tells its events to; it passes over those that nobody writes down.

    There are a dozen of them for every node, and spelling them out took a seventh of a small build.
    """
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.event_manager import EventManager

    class QuietEvents(EventManager):
        def fire_event(self, e: Any, level: Any = None, *arguments: Any, **named: Any) -> None:
            if (level or e.level_tag()) != EventLevel.DEBUG:
                super().fire_event(e, level, *arguments, **named)

    return QuietEvents()


@cache
def _read_manifest() -> Manifest:
    """Read what parsing left, once for all the invocations of this process."""
    from dbt.contracts.graph.manifest import Manifest

    prepare_manifest()
    manifest = Manifest.from_msgpack((PREPARED / _PARSED).read_bytes())
    # Parsing would do it: models look up the contracts of their sources in the graph.
    manifest.build_flat_graph()
    return manifest


def _output_paths(folder: Path) -> list[str]:
    return ["--target-path", str(folder), "--log-path", str(folder)]


def _text(instant: Any) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S.%f}"


def _in_one_line(error: BaseException | None) -> str:
    return " ".join(str(error).split())


@contextmanager
def _environment(wanted: Mapping[str, str | None]) -> Iterator[None]:
    """Set variables that `profiles.yml` reads, and put back what was there."""
    before = {name: os.environ.get(name) for name in wanted}

    def apply(values: Mapping[str, str | None]) -> None:
        for name, value in values.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    apply(wanted)
    try:
        yield
    finally:
        apply(before)
