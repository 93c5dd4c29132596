"""Measure everything beside its floor in one run: print a table, write ``bench.json``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.bench import discovery, identity, journeys, landing, scoring, timeline

BENCHES = {
    "landing": landing.bench,
    "timeline": timeline.bench,
    "identity": identity.bench,
    "journeys": journeys.bench,
    "scoring": scoring.bench,
    "discovery": discovery.bench,
}


def main(names: list[str]) -> None:
    """Run the benches named, or all."""
    rows = [row for name, bench in BENCHES.items() if not names or name in names for row in bench()]
    widths = {column: max(len(column), *(len(f"{row[column]}") for row in rows)) for column in rows[0]}
    for row in [{column: column for column in widths}, *rows]:
        print("  ".join(f"{row[column]!s:<{width}}" for column, width in widths.items()))
    Path("bench.json").write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
