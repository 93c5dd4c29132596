"""What one person may hold: the ``identifier_rules`` seed, as resolution reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from dagster_project.errors import ThroughlineError

DEVICE_TYPE = "device_id"
ORDER_TYPE = "order"
"""Orders hold a recompute unit together; they have no rule and never identify anybody."""


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
    """

    priority: int
    limit_per_person: int | None
    is_person_identifier: bool


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
        """Read the seed's columns ``identifier_type, priority, limit_per_person, is_person_identifier``."""
        return cls(
            {
                row["identifier_type"]: IdentifierRule(
                    priority=row["priority"],
                    limit_per_person=row["limit_per_person"],
                    is_person_identifier=row["is_person_identifier"],
                )
                for row in table.to_pylist()
            }
        )

    def __getitem__(self, identifier_type: str) -> IdentifierRule:
        """Return the rule of one identifier type.

        Raises
        ------
        ThroughlineError
            If the seed has no row for it.
        """
        try:
            return self._rules[identifier_type]
        except KeyError:
            raise ThroughlineError(
                f"The identifier type '{identifier_type}' has no row in dbt/seeds/identifier_rules.csv; "
                "add one with its priority and its limit per person."
            ) from None

    def fingerprint(self) -> str:
        """All rules as one text: the same text, the same persons."""
        return ";".join(
            f"{name},{rule.priority},{rule.limit_per_person},{rule.is_person_identifier}"
            for name, rule in sorted(self._rules.items())
        )
