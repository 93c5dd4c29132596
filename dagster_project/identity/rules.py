"""What one person may hold: the ``identifier_rules`` seed, as resolution reads it."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa

from dagster_project.errors import ThroughlineError
from dagster_project.settings import DBT_DIR

OVERRIDES = DBT_DIR / "seeds" / "identity_overrides.csv"
OVERRIDE_COLUMNS = ["identifier_a", "identifier_b", "verdict", "reason", "decided_on"]
DEVICE_TYPE = "device_id"
ACCOUNT_TYPE = "account_id"
"""Of an account there are many persons: it holds nothing together, not even a recompute unit."""
ORDER_TYPE = "order"
"""Orders hold a recompute unit together; they have no rule and never identify anybody."""

SEED_COLUMNS = (
    "identifier_type",
    "priority",
    "limit_per_person",
    "is_person_identifier",
    "limit_window_days",
    "link_limit",
)


@dataclass(frozen=True, kw_only=True)
class IdentifierRule:
    """How strongly one identifier type speaks, and how many a person may have.

    Attributes
    ----------
    priority : int
        1 is the strongest.
    limit_per_person : int or None
        How many one person may have, per type and namespace; None means no limit.
    is_person_identifier : bool
        Whether it may join persons.
    limit_window_days : int or None
        The limit counts those first available within less than so many days; None means ever.
    link_limit : int or None
        One that was seen with more than so many of a limited type and namespace is a hub and links nobody;
        None means no limit.
    """

    priority: int
    limit_per_person: int | None
    is_person_identifier: bool
    limit_window_days: int | None = None
    link_limit: int | None = None


class IdentifierRules:
    """The rules of every identifier type.

    Parameters
    ----------
    rules : mapping of str to IdentifierRule
        By identifier type.
    """

    def __init__(self, rules: Mapping[str, IdentifierRule]) -> None:
        weakest = max((rule.priority for rule in rules.values()), default=0) + 1
        self._rules = {
            **rules,
            ORDER_TYPE: IdentifierRule(priority=weakest, limit_per_person=None, is_person_identifier=False),
        }

    @classmethod
    def from_arrow(cls, table: pa.Table) -> IdentifierRules:
        """Read the seed's columns ``SEED_COLUMNS``."""
        return cls(
            {
                row["identifier_type"]: IdentifierRule(
                    priority=row["priority"],
                    limit_per_person=row["limit_per_person"],
                    is_person_identifier=row["is_person_identifier"],
                    limit_window_days=row["limit_window_days"],
                    link_limit=row["link_limit"],
                )
                for row in table.to_pylist()
            }
        )

    def __getitem__(self, identifier_type: str) -> IdentifierRule:
        """Return the rule of one identifier type; one without a rule is the weakest and identifies nobody."""
        return self._rules.get(identifier_type, self._rules[ORDER_TYPE])

    def fingerprint(self) -> str:
        """All rules as one text: the same text, the same persons."""
        return ";".join(
            f"{name},{rule.priority},{rule.limit_per_person},{rule.is_person_identifier},{rule.limit_window_days},"
            f"{rule.link_limit}"
            for name, rule in sorted(self._rules.items())
        )


def check_overrides(path: Path = OVERRIDES) -> None:
    """Read the overrides as a night will; identifiers that nobody knows are no fault, they wait.

    Raises
    ------
    ThroughlineError
        If a line cannot be read. The sentence repeats no identifier, for somebody may have written a readable one.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file)
            if next(lines, None) != OVERRIDE_COLUMNS:
                raise ThroughlineError(f"The first line of {path} must be {','.join(OVERRIDE_COLUMNS)}; put it back.")
            for fields in lines:
                if fields and (fault := _fault_of(fields)):
                    raise ThroughlineError(f"Line {lines.line_num} of {path} {fault}.")
    except (UnicodeDecodeError, csv.Error):
        raise ThroughlineError(f"{path} cannot be read as text; save it as CSV in UTF-8.") from None


def _fault_of(fields: list[str]) -> str | None:
    """What is wrong with a line of the overrides, and how to mend it."""
    if len(fields) != len(OVERRIDE_COLUMNS):
        return (
            f"has {len(fields)} fields instead of {len(OVERRIDE_COLUMNS)}; put a reason that has a comma in it between "
            "double quotes"
        )
    one, other, verdict, _, decided_on = fields
    if not one.strip() or not other.strip():
        return "names one identifier alone; write two tokens, as `throughline whois` shows them"
    if verdict not in ("always", "never"):
        return "says neither always nor never; write one of them in the third field"
    try:
        datetime.strptime(decided_on, "%Y-%m-%d")
    except ValueError:
        return "does not end in a day such as 2026-01-31; write the day on which it was decided"
    return None
