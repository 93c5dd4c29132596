from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dagster_project.errors import ThroughlineError
from dagster_project.publishing.versions import current_version, prune, rollback, utc_now, versions
from tests.publishing.reading import listing, read_current


def test_rollback_goes_back_and_forward(settings, fill, publish_now):
    ids = []
    for stamp in (1, 2, 3):
        fill(settings, stamp=stamp)
        ids.append(publish_now(settings).version_id)
    assert [version.version_id for version in versions(settings)] == ids[::-1]
    assert [version.is_current for version in versions(settings)] == [True, False, False]
    assert rollback(settings) == ids[1]
    assert read_current(settings.published)["rows"]["customers"][0][-1] == 2
    assert rollback(settings) == ids[0]
    assert rollback(settings, to=ids[2]) == ids[2]
    assert read_current(settings.published)["rows"]["customers"][0][-1] == 3
    assert rollback(settings, to=ids[2]) == ids[2]
    assert (settings.published / "current").readlink() == Path("versions") / ids[2]


def test_rollback_skips_the_version_that_was_rolled_back_from(settings, fill, publish_now):
    fill(settings, stamp=1)
    good = publish_now(settings).version_id
    fill(settings, stamp=2)
    publish_now(settings)
    rollback(settings)
    fill(settings, stamp=3)
    publish_now(settings)
    assert rollback(settings) == good


def test_rollback_tells_why_it_cannot(settings, fill, publish_now):
    with pytest.raises(ThroughlineError, match="Nothing has been published"):
        rollback(settings)
    fill(settings, stamp=1)
    only = publish_now(settings).version_id
    with pytest.raises(ThroughlineError, match=f"no version before {only}"):
        rollback(settings)
    with pytest.raises(ThroughlineError, match=f"no published version '2020-01-01-0'; the versions kept are {only}"):
        rollback(settings, to="2020-01-01-0")
    fill(settings, stamp=2)
    second = publish_now(settings)
    (settings.published / "versions" / only / "settled.parquet").unlink()
    with pytest.raises(ThroughlineError, match="lost or changed files"):
        rollback(settings)
    assert current_version(settings).version_id == second.version_id


def test_rollback_interrupted_leaves_the_old_version_current(settings, fill, publish_now, arm):
    fill(settings, stamp=1)
    first = publish_now(settings).version_id
    fill(settings, stamp=2)
    second = publish_now(settings).version_id
    for name in ("publishing.rolling_back", "publishing.link_made"):
        arm(f"{name}:1:raise")
        with pytest.raises(ThroughlineError, match="could not be switched"):
            rollback(settings)
        assert read_current(settings.published)["version_id"] == second
    arm("")
    assert rollback(settings) == first


def test_a_version_published_again_is_the_latest(settings, fill, publish_now):
    now = utc_now()
    fill(settings, stamp=1)
    first = publish_now(settings, now=now)
    inode = first.path.stat().st_ino
    fill(settings, stamp=2)
    second = publish_now(settings, now=now + timedelta(hours=1))
    fill(settings, stamp=1)
    third = publish_now(settings, now=now + timedelta(hours=2))
    assert third.is_new and third.version_id == first.version_id and third.path.stat().st_ino == inode
    assert [version.version_id for version in versions(settings)] == [first.version_id, second.version_id]
    assert rollback(settings) == second.version_id


def test_prune_keeps_fourteen_and_none_younger_than_a_day(settings, fill, publish_now):
    start = datetime.now(UTC).replace(tzinfo=None)
    ids, pruned = [], []
    for day in range(17):
        fill(settings, stamp=day)
        report = publish_now(settings, now=start + timedelta(days=day))
        ids.append(report.version_id)
        pruned.append(list(report.pruned))
    # The 15th version is the first to push one out.
    assert pruned == [[]] * 14 + [[ids[0]], [ids[1]], [ids[2]]]
    assert [version.version_id for version in versions(settings)] == ids[:2:-1]
    assert not [entry for entry in listing(settings.published) if ids[0] in entry]
    assert read_current(settings.published)["version_id"] == ids[-1]


def test_prune_never_removes_the_current_version_or_one_in_use_today(settings, fill, publish_now):
    start = utc_now()
    ids = []
    for minute in range(16):
        fill(settings, stamp=minute)
        ids.append(publish_now(settings, now=start + timedelta(minutes=minute)).version_id)
    assert len(versions(settings)) == 16
    rollback(settings, to=ids[0])
    assert prune(settings, now=start + timedelta(days=2)) == [ids[1]]
    # Switching away marks the version as in use until now, however old it is.
    folder = settings.published / "versions" / ids[0]
    os.utime(folder, (0, 0))
    rollback(settings, to=ids[-1])
    assert folder.stat().st_mtime >= start.replace(tzinfo=UTC).timestamp() - 1
    an_hour_ago = (start + timedelta(days=2, hours=-1)).replace(tzinfo=UTC).timestamp()
    os.utime(folder, (an_hour_ago, an_hour_ago))
    assert prune(settings, now=start + timedelta(days=2)) == []
    assert prune(settings, now=start + timedelta(days=3)) == [ids[0]]


def test_prune_killed_midway_is_swept(settings, fill, publish_now, start_publishing):
    start = utc_now()
    for day in range(15):
        fill(settings, stamp=day)
        publish_now(settings, now=start + timedelta(minutes=day))
    assert len(versions(settings)) == 15
    killed = start_publishing(settings, failpoint="publishing.pruning:1:kill", now=start + timedelta(days=3))
    assert killed.wait(timeout=60) == -9
    assert len(versions(settings)) == 14
    publish_now(settings, now=start + timedelta(days=3))
    assert len(versions(settings)) == 14
    assert not [entry for entry in listing(settings.published) if "partial" in entry]


def test_versions_of_an_empty_folder_are_none(settings):
    assert versions(settings) == []
    assert current_version(settings) is None
