"""What many tests share: the command line in a child process and one built demo."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from dagster_project.cli import main
from dagster_project.demo.generate import generate_demo
from dagster_project.settings import PROJECT_ROOT, Settings, load_settings
from tests import story
from tests.children import run_in_child

DEMO_SEED, DEMO_PEOPLE, DEMO_DAYS, DEMO_UNTIL = 7, 600, 90, date(2026, 6, 30)


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


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo of 600 people and 90 days, landed, built, audited and published by one night."""
    data = tmp_path_factory.mktemp("demo")
    settings = load_settings({"THROUGHLINE_DATA": str(data), "THROUGHLINE_INBOX": str(data / "inbox")})
    truth = tmp_path_factory.mktemp("truth") / "truth"
    generate_demo(out=settings.inbox, truth=truth, seed=DEMO_SEED, people=DEMO_PEOPLE, days=DEMO_DAYS, until=DEMO_UNTIL)
    finished = throughline("run", env=environment_of(settings))
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return Demo(settings=settings, output=finished.stdout, truth=truth)


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> story.Told:
    """The hand-told world of ``tests/story.py`` after one night. Read only."""
    folder = tmp_path_factory.mktemp("story")
    story.tell().write(folder / "inbox")
    finished = throughline(
        "run",
        env={
            "THROUGHLINE_DATA": str(folder / "data"),
            "THROUGHLINE_INBOX": str(folder / "inbox"),
            "THROUGHLINE_TIMEZONE": story.TIMEZONE,
            "THROUGHLINE_AS_OF": story.AS_OF,
        },
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return story.Told(folder / "data")


@pytest.fixture
def data(tmp_path: Path) -> Settings:
    """Settings of an empty data folder with an empty inbox."""
    (tmp_path / "inbox").mkdir()
    return load_settings({"THROUGHLINE_DATA": str(tmp_path / "data"), "THROUGHLINE_INBOX": str(tmp_path / "inbox")})
