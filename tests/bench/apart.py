"""Measurements in processes of their own, each with a peak memory of its own."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path


def measure(module: str, work: str, *arguments: object) -> tuple[dict[str, float], float]:
    """Run one of a module's works in a process of its own.

    Parameters
    ----------
    module : str
        A module that ends with `answer`.
    work : str
        One of its works.
    *arguments : object
        What the work takes, as text.

    Returns
    -------
    tuple of dict and float
        Its seconds by name, and its peak memory in MB.
    """
    done = subprocess.run(
        [sys.executable, "-m", module, work, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    words = done.stdout.strip().splitlines()[-1].split("\t")
    return {name: float(value) for name, value in (word.split("=") for word in words[1:])}, float(words[0])


def answer(works: Mapping[str, Callable[..., dict[str, float]]]) -> None:
    """Do the work that the command line names in its folder, and print what `measure` reads."""
    measured = works[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print("\t".join([f"{peak:.1f}", *(f"{name}={seconds:.3f}" for name, seconds in measured.items())]))
