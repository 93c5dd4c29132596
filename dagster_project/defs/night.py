"""The warehouse as a run holds it: alone, with one as-of, from its first step to its last."""

import sys
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import dagster as dg
import duckdb
from pydantic import Field, PrivateAttr

from dagster_project.instance import forget_old_runs, mark_dead_runs, show_alive
from dagster_project.landing.contracts import load_contracts
from dagster_project.landing.landing import open_landing, prepare
from dagster_project.night import Night, current_night, hold_warehouse, world_of
from dagster_project.settings import Settings, load_settings, read_as_of

# Every asset is in this pool, whose limit is one run: the rest queue.
POOL = "warehouse"


class Warehouse(dg.ConfigurableResource):
    """The right to use the warehouse, held for the whole run.

    Queued runs wait for the pool; a run that somebody started outside the queue, such as
    ``throughline run``, waits here.
    """

    as_of: str = Field(
        default="",
        description="A date (its end) or an ISO time up to which evidence counts; empty: THROUGHLINE_AS_OF, "
        "else the latest day in the data.",
    )
    _settings: Settings = PrivateAttr()
    _run_id: str = PrivateAttr()
    _night: Night | None = PrivateAttr(default=None)
    _landing: tuple[ExitStack, duckdb.DuckDBPyConnection] | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator["Warehouse", None, None]:
        """Wait for the warehouse, hold it, give it back."""
        settings = load_settings()
        if self.as_of:
            settings = replace(settings, as_of=read_as_of(self.as_of, timezone=settings.timezone))
        self._run_id = context.run.run_id if context.run else "outside a run"
        show_alive(settings, run_id=self._run_id)
        log: Any = context.log
        with hold_warehouse(settings, run_id=self._run_id, on_wait=log.info):
            if context.instance:
                mark_dead_runs(context.instance, settings)
                forget_old_runs(context.instance)
            self._settings = world_of(settings)
            prepare(self._settings, load_contracts())
            try:
                yield self
            finally:
                self._end_landing()

    @property
    def settings(self) -> Settings:
        """Settings of the world this run works in; for whoever opens its files, so landing closes them first."""
        self._end_landing()
        return self._settings

    @contextmanager
    def landing(self) -> Iterator[tuple[Settings, duckdb.DuckDBPyConnection]]:
        """Settings and a connection for landing; it stays open from one table to the next.

        Opening warehouse and vault for each of them costs more than looking for new files. A table
        that fails closes them, so that the next one starts on a sound connection.
        """
        if self._landing is None:
            files = ExitStack()
            self._landing = (files, files.enter_context(open_landing(self._settings)))
        files, connection = self._landing
        try:
            yield self._settings, connection
        except BaseException:
            self._landing = None
            files.__exit__(*sys.exc_info())
            raise

    def _end_landing(self) -> None:
        """Write down and close what landing kept open."""
        if self._landing is not None:
            files, _ = self._landing
            self._landing = None
            files.close()

    @property
    def night(self) -> Night:
        """The frame of this run; fixed by the first step after landing that asks."""
        if self._night is None:
            self._night = current_night(self.settings, run_id=self._run_id)
        return self._night
