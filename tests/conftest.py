"""What many tests share: the command line in a child process and one built demo."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from dagster_project.cli import main
from dagster_project.demo.generate import generate_demo
from dagster_project.settings import PROJECT_ROOT, Settings, load_settings
from tests import story
from tests.children import run_in_child

# Whole nights, shared by the tests of a file, the longest first.
NIGHTS = (
    "test_gates.py",
    "test_erasure.py",
    "defs/test_broken_checks.py",
    "published/test_identity_quality.py",
    "published/test_data_quality.py",
    "timeline/test_levels.py",
    "features/test_features.py",
)
DEMO_SEED, DEMO_PEOPLE, DEMO_DAYS, DEMO_UNTIL = 7, 600, 90, date(2026, 6, 30)

# SQLite's own files, there while another test looks at the history of runs; a copy of the demo needs none.
AT_WORK = shutil.ignore_patterns("*-shm", "*-wal", "*-journal")


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The small demo after one night. Read only: the whole session shares it.

    Attributes
    ----------
    settings : Settings
        Where its warehouse, vault, inbox and published versions are.
    output : str
        What ``throughline run`` printed.
    truth : Path
        Folder of what is true of the company.
    """

    settings: Settings
    output: str
    truth: Path


def reference_data() -> Path:
    """Folder of the public data with known answers; skips the test, saying so, where it is absent."""
    folder = Path(os.environ.get("THROUGHLINE_REFERENCE") or PROJECT_ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"the reference data is not at {folder}; THROUGHLINE_REFERENCE says where it is")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest, so that at the end no test process works on one while the others have nothing to do."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        names = [str(item.path.relative_to(PROJECT_ROOT / "tests")) for item in items]
        place = {name: NIGHTS.index(name) if name in NIGHTS else len(NIGHTS) for name in names}
        items[:] = [item for _, item in sorted(zip(names, items, strict=True), key=lambda pair: place[pair[0]])]


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> None:
    """Tests see the defaults, whatever the shell that runs them has set."""
    for name in [name for name in os.environ if name.startswith("THROUGHLINE_") and name != "THROUGHLINE_REFERENCE"]:
        del os.environ[name]


def environment_of(settings: Settings) -> dict[str, str]:
    """Variables under which a child process finds these settings."""
    return {
        "THROUGHLINE_DATA": str(settings.data),
        "THROUGHLINE_INBOX": str(settings.inbox),
        "THROUGHLINE_TIMEZONE": settings.timezone,
        "THROUGHLINE_KEY_FILE": str(settings.key_file),
    }


def throughline(
    *arguments: str, env: dict[str, str] | None = None, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    return run_in_child(main, arguments, env=env, timeout=timeout)


def built_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, build: Callable[[Path], subprocess.CompletedProcess[str]]
) -> tuple[Path, str]:
    """A folder that one of the test processes fills, while the others wait for it; with what building it printed.

    A build that failed is told by every test that needs it, and tried once.
    """
    folder = tmp_path_factory.getbasetemp()
    # The processes of pytest-xdist have a folder each, in one that is of this session alone.
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / name
    printed = folder / "printed"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            folder.mkdir()
            finished = build(folder)
            assert finished.returncode == 0, finished.stdout + finished.stderr
            printed.write_text(finished.stdout)
    assert printed.exists(), f"{folder} could not be built; the first test that needed it says why"
    return folder, printed.read_text()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo of 600 people and 90 days, landed, built, audited and published by one night."""

    def settings(folder: Path) -> Settings:
        return load_settings(
            {"THROUGHLINE_DATA": str(folder / "data"), "THROUGHLINE_INBOX": str(folder / "data" / "inbox")}
        )

    def build(folder: Path) -> subprocess.CompletedProcess[str]:
        generate_demo(
            out=settings(folder).inbox,
            truth=folder / "truth",
            seed=DEMO_SEED,
            people=DEMO_PEOPLE,
            days=DEMO_DAYS,
            until=DEMO_UNTIL,
        )
        return throughline("run", env=environment_of(settings(folder)))

    folder, printed = built_once(tmp_path_factory, "demo", build)
    return Demo(settings=settings(folder), output=printed, truth=folder / "truth")


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> story.Told:
    """The hand-told world of ``tests/story.py`` after one night. Read only."""

    def build(folder: Path) -> subprocess.CompletedProcess[str]:
        story.tell().write(folder / "inbox")
        return throughline(
            "run",
            env={
                "THROUGHLINE_DATA": str(folder / "data"),
                "THROUGHLINE_INBOX": str(folder / "inbox"),
                "THROUGHLINE_TIMEZONE": story.TIMEZONE,
                "THROUGHLINE_AS_OF": story.AS_OF,
            },
        )

    folder, _ = built_once(tmp_path_factory, "story", build)
    return story.Told(folder / "data")


@pytest.fixture
def data(tmp_path: Path) -> Settings:
    """Settings of an empty data folder with an empty inbox."""
    (tmp_path / "inbox").mkdir()
    return load_settings({"THROUGHLINE_DATA": str(tmp_path / "data"), "THROUGHLINE_INBOX": str(tmp_path / "inbox")})
