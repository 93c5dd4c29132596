"""The published versions on disk: which there are, which one is current, which may go.

``published/current`` is a relative link to ``versions/<id>``. It is only ever replaced whole, so a
reader that resolves it once has a whole version, and that version outlives the reader by a day.
Folders named ``<id>.partial-…`` are work in progress, or what a killed run left behind.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dagster_project.errors import ThroughlineError
from dagster_project.failpoints import failpoint
from dagster_project.publishing.durable import sha256_of, sync_folder
from dagster_project.settings import Settings

# Two weeks of nights: a wrong number found in a weekly meeting can still be compared and rolled back
# after a second week; unchanged tables are hard-linked, so a version costs what changed.
KEPT_VERSIONS = 14
# A dashboard session or a long extract that resolved `current` in the morning ends the same day.
KEPT_AT_LEAST = timedelta(hours=24)

DATABASE_FILE = "throughline.duckdb"
MANIFEST_FILE = "manifest.json"
DICTIONARY_FILE = "dictionary.html"
SITE_FOLDER = "site"
SITE_PAGE = f"{SITE_FOLDER}/index.html"
# The column that every table carries in DuckDB beside its own.
VERSION_COLUMN = {
    "name": "version_id",
    "type": "VARCHAR",
    "description": "The published version, the same in every table and in manifest.json.",
}
_PARTIAL = ".partial-"


@dataclass(frozen=True, kw_only=True)
class Version:
    """One whole published version.

    Attributes
    ----------
    version_id : str
        ``<as-of date>-<12 hex digits of the content>``.
    path : Path
        Its folder, resolved: open files through this, never through ``current``.
    as_of : datetime
        UTC instant up to which evidence counted, naive.
    created_at : datetime
        UTC, naive.
    run_id : str
        The run that published it.
    fingerprint : str
        Of all tables and their descriptions; two versions with the same one hold the same.
    previous_version_id : str or None
        The version that was current when this one was published.
    is_current : bool
        Whether ``current`` points at it.
    tables : mapping
        The manifest's entry for each table.
    dictionary : mapping or None
        The manifest's entry for the data dictionary; None in versions made before there was one.
    site : mapping or None
        The manifest's entry for the map of the journeys; None in versions made before there was one.
    """

    version_id: str
    path: Path
    as_of: datetime
    created_at: datetime
    run_id: str
    fingerprint: str
    previous_version_id: str | None
    is_current: bool
    tables: Mapping[str, Mapping[str, Any]]
    dictionary: Mapping[str, Any] | None = None
    site: Mapping[str, Any] | None = None

    @property
    def database_path(self) -> Path:
        """The version's DuckDB file."""
        return self.path / DATABASE_FILE

    @property
    def dictionary_path(self) -> Path | None:
        """The version's data dictionary, a page for a browser; None in versions made before there was one."""
        return self.path / self.dictionary["file"] if self.dictionary else None

    @property
    def site_path(self) -> Path | None:
        """The version's map of the journeys, a page for a browser; None in versions made before there was one."""
        return self.path / self.site["page"] if self.site else None

    @property
    def site_files(self) -> list[Mapping[str, Any]]:
        """The manifest's entries for the files of the map of the journeys."""
        return list(self.site["files"]) if self.site else []

    def is_whole(self, *, checks_content: bool = False) -> bool:
        """Whether every file the manifest names is there.

        Parameters
        ----------
        checks_content : bool
            Compare the SHA-256 of the Parquet files, the dictionary and the site too, not only their sizes.
        """
        if not self.database_path.is_file():
            return False
        for entry in (*self.tables.values(), *([self.dictionary] if self.dictionary else []), *self.site_files):
            path = self.path / entry["file"]
            if not path.is_file() or path.stat().st_size != entry["bytes"]:
                return False
            if checks_content and sha256_of(path) != entry["sha256"]:
                return False
        return True


def versions(settings: Settings) -> list[Version]:
    """List the whole published versions, newest first.

    Parameters
    ----------
    settings : Settings
        Where the data folder is.
    """
    current_id = _current_id(settings)
    found = [
        read_version(path, is_current=path.name == current_id)
        for path in _folder(settings).glob("*")
        if path.is_dir() and _PARTIAL not in path.name
    ]
    return sorted((version for version in found if version), key=lambda v: (v.created_at, v.version_id), reverse=True)


def current_version(settings: Settings) -> Version | None:
    """Resolve ``current`` once.

    Parameters
    ----------
    settings : Settings
        Where the data folder is.

    Returns
    -------
    Version or None
        None if nothing has been published, or what ``current`` points at is gone.
    """
    current_id = _current_id(settings)
    return read_version(_folder(settings) / current_id, is_current=True) if current_id else None


def rollback(settings: Settings, *, to: str | None = None) -> str:
    """Make an earlier (or any kept) version current.

    The next run that publishes something switches ``current`` again.

    Parameters
    ----------
    settings : Settings
        Where the data folder is.
    to : str, optional
        The version wanted; left out, the one that was current before.

    Returns
    -------
    str
        The version that is current now.

    Raises
    ------
    ThroughlineError
        If there is no such version, or none to go back to.
    """
    if not _folder(settings).is_dir():
        raise _nothing_published(settings)
    with publishing_lock(settings):
        known = versions(settings)
        if not known:
            raise _nothing_published(settings)
        target = _named(known, to=to) if to else _before_current(known)
        if not target.is_whole(checks_content=True):
            raise ThroughlineError(
                f"Version {target.version_id} in {target.path} has lost or changed files, so `current` stays where "
                f"it is; choose another of {_ids(known)}."
            )
        try:
            failpoint("publishing.rolling_back")
            if not target.is_current:
                switch(settings, target.version_id)
        except OSError as error:
            raise ThroughlineError(
                f"`current` in {settings.published} could not be switched ({error.strerror}); mend that and try again."
            ) from error
        return target.version_id


def prune(settings: Settings, *, now: datetime | None = None) -> list[str]:
    """Remove versions beyond the last 14; never the current one nor any in use within the last 24 hours.

    Parameters
    ----------
    settings : Settings
        Where the data folder is.
    now : datetime, optional
        UTC, naive; the clock's time if left out.

    Returns
    -------
    list of str
        The versions removed, newest first.
    """
    now = now or utc_now()
    removed = []
    for version in versions(settings)[KEPT_VERSIONS:]:
        # The folder's own time is set when a version stops being current.
        last_used = max(version.created_at, _modified_at(version.path))
        if version.is_current or now - last_used < KEPT_AT_LEAST:
            continue
        _remove(settings, version)
        removed.append(version.version_id)
    return removed


def forget_others(settings: Settings) -> list[str]:
    """Remove every version but the current one, however young: they still tell of somebody who was erased.

    Whoever has a file of one open reads on in it until it is closed.

    Parameters
    ----------
    settings : Settings
        Where the data folder is.

    Returns
    -------
    list of str
        The versions removed, newest first.
    """
    if not _folder(settings).is_dir():
        return []
    with publishing_lock(settings):
        old = [version for version in versions(settings) if not version.is_current]
        for version in old:
            _remove(settings, version)
        # What is no whole version either: a folder that lost its manifest.
        for path in _folder(settings).iterdir():
            if path.is_dir() and path.name != _current_id(settings):
                shutil.rmtree(path)
    return [version.version_id for version in old]


def _remove(settings: Settings, version: Version) -> None:
    """Remove a version: its name first, so that no reader finds half of it."""
    doomed = partial_path(settings, version.version_id)
    version.path.replace(doomed)
    failpoint("publishing.pruning")
    shutil.rmtree(doomed)


@contextmanager
def publishing_lock(settings: Settings) -> Iterator[None]:
    """Let one run at a time change the published folder; the lock dies with its process.

    Raises
    ------
    ThroughlineError
        If another run is publishing.
    """
    _folder(settings).mkdir(parents=True, exist_ok=True)
    with (settings.published / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ThroughlineError(
                f"Another run is publishing into {settings.published}; wait for it to end and run again."
            ) from None
        failpoint("publishing.locked")
        sweep(settings)
        yield


def sweep(settings: Settings) -> None:
    """Remove what killed runs left behind; only the holder of the lock may call it."""
    for path in _folder(settings).glob(f"*{_PARTIAL}*"):
        shutil.rmtree(path)
    for link in settings.published.glob(".current-*"):
        link.unlink()


def switch(settings: Settings, version_id: str) -> None:
    """Point ``current`` at a version in one step."""
    before = current_version(settings)
    link = settings.published / f".current-{uuid.uuid4().hex[:8]}"
    link.symlink_to(Path("versions") / version_id, target_is_directory=True)
    failpoint("publishing.link_made")
    if before:
        os.utime(before.path)
    link.replace(settings.published / "current")
    failpoint("publishing.switched")
    sync_folder(settings.published)


def partial_path(settings: Settings, version_id: str) -> Path:
    """Return a folder name for unfinished work that no reader looks at and no run used before."""
    return _folder(settings) / f"{version_id}{_PARTIAL}{uuid.uuid4().hex[:8]}"


def version_path(settings: Settings, version_id: str) -> Path:
    """Return the folder of a version."""
    return _folder(settings) / version_id


def read_version(path: Path, *, is_current: bool = False) -> Version | None:
    """Read a version's manifest; None if there is none to read."""
    try:
        manifest = json.loads((path / MANIFEST_FILE).read_text(encoding="utf-8"))
        return Version(
            version_id=manifest["version_id"],
            path=path.resolve(),
            as_of=_instant(manifest["as_of"]),
            created_at=_instant(manifest["created_at"]),
            run_id=manifest["run_id"],
            fingerprint=manifest["fingerprint"],
            previous_version_id=manifest["previous_version_id"],
            is_current=is_current,
            tables=manifest["tables"],
            dictionary=manifest.get("dictionary"),
            site=manifest.get("site"),
        )
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
        return None


def utc_now() -> datetime:
    """Return the clock's time, UTC and naive."""
    return datetime.now(UTC).replace(tzinfo=None)


def _folder(settings: Settings) -> Path:
    return settings.published / "versions"


def _current_id(settings: Settings) -> str | None:
    link = settings.published / "current"
    return link.readlink().name if link.is_symlink() else None


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)


def _modified_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, tz=UTC).replace(tzinfo=None)


def _ids(known: list[Version]) -> str:
    return ", ".join(version.version_id for version in known)


def _named(known: list[Version], *, to: str) -> Version:
    for version in known:
        if version.version_id == to:
            return version
    raise ThroughlineError(f"There is no published version '{to}'; the versions kept are {_ids(known)}.")


def _before_current(known: list[Version]) -> Version:
    """Return the version that the current one replaced, else the newest one made before it."""
    current = next((version for version in known if version.is_current), None)
    if current is None:
        return known[0]
    for version in known:
        if version.version_id == current.previous_version_id:
            return version
    older = [version for version in known if version.created_at < current.created_at]
    if not older:
        raise ThroughlineError(
            f"There is no version before {current.version_id} to go back to; the versions kept are {_ids(known)}."
        )
    return older[0]


def _nothing_published(settings: Settings) -> ThroughlineError:
    return ThroughlineError(
        f"Nothing has been published in {settings.published} yet, so there is no version to go back to; "
        "run `throughline run` first."
    )
