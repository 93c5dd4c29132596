"""Run every bench, print a table and write bench.json: `python -m tests.bench [name ...]`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.bench import identity, landing, timeline

Bench = Callable[[], list[dict[str, Any]]]
BENCHES: dict[str, Bench] = {"landing": landing.bench, "identity": identity.bench, "timeline": timeline.bench}
COLUMNS = ("work", "size", "candidate", "seconds", "ratio_to_floor", "peak_mb")


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as text, numbers to the right."""
    cells = [
        COLUMNS,
        *([f"{row[c]:,}" if isinstance(row[c], int | float) else row[c] for c in COLUMNS] for row in rows),
    ]
    widths = [max(len(row[i]) for row in cells) for i in range(len(COLUMNS))]
    is_text = [c in ("work", "candidate") for c in COLUMNS]
    return "\n".join(
        "  ".join(v.ljust(w) if t else v.rjust(w) for v, w, t in zip(row, widths, is_text, strict=True)).rstrip()
        for row in cells
    )


def main(names: list[str]) -> None:
    """Run the named benches, or all of them."""
    rows: list[dict[str, Any]] = []
    for name in names or BENCHES:
        print(f"{name} …", file=sys.stderr, flush=True)
        rows += BENCHES[name]()
    print(table(rows))
    Path("bench.json").write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
