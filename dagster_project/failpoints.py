"""Named places where tests make a run die, fail or wait.

``THROUGHLINE_FAILPOINT=name:n:kill|raise|sleep`` acts on the n-th time (from 1) the place
``name`` is passed in this process. Unset, a failpoint costs one dictionary look-up.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections import Counter

_passed: Counter[str] = Counter()


def failpoint(name: str) -> None:
    """Mark a place at which a run may be interrupted.

    Parameters
    ----------
    name : str
        ``<place>.<step>``, unique in the code base.

    Raises
    ------
    OSError
        With ``raise``: "no space left on device", as a full disk would.
    """
    wanted = os.environ.get("THROUGHLINE_FAILPOINT")
    if not wanted:
        return
    target, nth, action = wanted.split(":")
    if target != name:
        return
    _passed[name] += 1
    if _passed[name] != int(nth):
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "raise":
        raise OSError(errno.ENOSPC, f"No space left on device (failpoint {name})")
    elif action == "sleep":
        time.sleep(float(os.environ.get("THROUGHLINE_FAILPOINT_SECONDS", "30")))
    else:
        raise ValueError(f"unknown failpoint action '{action}'")
