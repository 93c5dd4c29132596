"""Child processes that start with everything imported: forked from one that has done nothing but import.

A child is a process of its own all the same: it can be killed, leaves no state behind and writes to its own standard
output. It saves the imports, which take longer than most of what the tests run.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dagster_project.settings import PROJECT_ROOT

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["tests.imported"])


class Child:
    """A function of a module at work in a process of its own; asked as one asks `subprocess.Popen`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, env: dict[str, str] | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._said = [Path(self._folder.name) / name for name in ("stdout", "stderr")]
        self._process = _forks.Process(
            target=_child,
            args=(function, arguments, dict(os.environ | (env or {})), [str(path) for path in self._said]),
        )
        self._process.start()

    @property
    def returncode(self) -> int | None:
        """The exit status, below nought if a signal ended it; None while it lives."""
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for its end; a child that takes longer is killed and `subprocess.TimeoutExpired` raised."""
        self._process.join(timeout)
        if self.returncode is None:
            self.kill()
            raise subprocess.TimeoutExpired(str(self._process), timeout)
        return self.returncode

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for its end; what it wrote to standard output and to standard error."""
        self.wait(timeout)
        output, errors = (path.read_text() if path.exists() else "" for path in self._said)
        return output, errors

    def kill(self) -> None:
        self._process.kill()
        self._process.join()


def run_in_child(
    function: Callable[..., Any], *arguments: Any, env: dict[str, str] | None = None, timeout: float = 600
) -> subprocess.CompletedProcess[str]:
    """Run a function of a module, such as a command line's ``main``, in a process of its own.

    Parameters
    ----------
    function : callable
        Found again by its module and name. What it returns is the exit status.
    arguments : any
        Its arguments.
    env : mapping, optional
        Variables beside those of this process.
    timeout : float
        Seconds after which the child is killed and `subprocess.TimeoutExpired` raised.
    """
    child = Child(function, *arguments, env=env)
    output, errors = child.communicate(timeout)
    assert child.returncode is not None
    return subprocess.CompletedProcess(arguments, child.returncode, output, errors)


def _child(function: Callable[..., Any], arguments: tuple[Any, ...], env: dict[str, str], said: list[str]) -> None:
    for number, path in enumerate(said, start=1):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(PROJECT_ROOT)
    sys.exit(function(*arguments))
