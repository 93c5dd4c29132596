"""Links and sightings as integer codes, the form in which they are resolved and replayed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.identity.graph import NO_CLASS, Codes, Flags, Nodes
from dagster_project.identity.rules import DEVICE_TYPE, IdentifierRules

Instants = npt.NDArray[np.int64]
"""Microseconds since 1970 in UTC."""

WITHHELD_KIND = "withheld"
"""Seen together only without consent for analytics: never joins persons, only recompute units."""
ORDER_KIND = "order"

LINK_COLUMNS = ("identifier_a", "identifier_b", "link_kind", "confidence", "first_available_at")


def _microseconds(column: pa.ChunkedArray) -> Instants:
    instants: Instants = column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
    return instants


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Who was seen with whom, in codes.

    Identifiers are coded by (first available, token), so that a component's smallest code is its anchor.

    Attributes
    ----------
    tokens : pyarrow.Array of string
        By code.
    identifier_types : pyarrow.Array of string
        By code.
    class_names : list of str
        Type and namespace, such as ``user_id:app``.
    class_of : array of int
        By code, into ``class_names``.
    first_available_at : array of int
        By code.
    is_person : array of bool
        By code: may it identify a person?
    nodes : Nodes
        By code: the limits.
    limited_class_names : list of str
        Names of the classes in ``nodes``.
    links : pyarrow.Table
        ``LINK_COLUMNS``, strongest link first: (priority of its weaker end, confidence, first available,
        then the codes of its ends).
    a, b : array of int
        Ends of the links, ``a`` the smaller code.
    link_available_at : array of int
    joins_persons : array of bool
        Whether a link may make one person of its two ends.
    joins_components : array of bool
        Whether a link puts its two ends into one recompute unit.
    """

    tokens: pa.Array
    identifier_types: pa.Array
    class_names: list[str]
    class_of: Codes
    first_available_at: Instants
    is_person: Flags
    nodes: Nodes
    limited_class_names: list[str]
    links: pa.Table
    a: Codes
    b: Codes
    link_available_at: Instants
    joins_persons: Flags
    joins_components: Flags

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def person_links(self) -> Codes:
        """Positions of the links that may join persons, strongest first."""
        return np.flatnonzero(self.joins_persons)

    def person_ids(self, anchors: Codes) -> pa.Array:
        """Mint the id of each anchor's person; whoever holds the anchor keeps the id."""
        distinct, place = np.unique(anchors, return_inverse=True)
        minted = pa.array([person_id_of(token) for token in self.tokens.take(distinct).to_pylist()], pa.string())
        return minted.take(place)


def person_id_of(anchor: str) -> str:
    """Return the id of the person whose earliest identifier is ``anchor``."""
    return "p_" + hashlib.sha256(anchor.encode()).hexdigest()[:16]


def encode(links: pa.Table, *, sightings: pa.Table, rules: IdentifierRules) -> Evidence:
    """Code links and sightings.

    Parameters
    ----------
    links : pyarrow.Table
        ``identifier_a, identifier_b, link_kind, confidence, first_available_at``, in any order.
    sightings : pyarrow.Table
        ``identifier, first_available_at``: every identifier once, seen no later than its first link.
    rules : IdentifierRules

    Raises
    ------
    ThroughlineError
        If an identifier's type has no rule.
    """
    sightings = sightings.select(["identifier", "first_available_at"]).sort_by(
        [("first_available_at", "ascending"), ("identifier", "ascending")]
    )
    tokens = sightings["identifier"].combine_chunks()
    # A class is the token up to its last colon: `email` or `user_id:app`.
    classes = pc.replace_substring_regex(tokens, ":[^:]*$", "").dictionary_encode()
    class_names = classes.dictionary.to_pylist()
    class_of: Codes = classes.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    types = [name.split(":", 1)[0] for name in class_names]
    class_rules = [rules[name] for name in types]

    names = sorted(
        name for name, rule in zip(class_names, class_rules, strict=True) if rule.limit_per_person is not None
    )
    place = {name: code for code, name in enumerate(names)}
    by_name = dict(zip(class_names, class_rules, strict=True))
    limited = np.array([place.get(name, NO_CLASS) for name in class_names], dtype=np.int64)
    limits = np.array([by_name[name].limit_per_person for name in names], dtype=np.int64)
    priority = np.array([rule.priority for rule in class_rules], dtype=np.int64)
    is_person = np.array([rule.is_person_identifier for rule in class_rules], dtype=np.bool_)[class_of]
    is_device = np.array([name == DEVICE_TYPE for name in types], dtype=np.bool_)

    links = links.select(list(LINK_COLUMNS))
    ends = [
        pc.index_in(links[column], value_set=tokens).to_numpy().astype(np.int64)
        for column in ("identifier_a", "identifier_b")
    ]
    a, b = np.minimum(*ends), np.maximum(*ends)
    available = _microseconds(links["first_available_at"])
    strength = np.maximum(priority[class_of[a]], priority[class_of[b]])
    order = np.lexsort((b, a, available, -links["confidence"].to_numpy(), strength))
    links, a, b, available = links.take(order), a[order], b[order], available[order]

    kind = links["link_kind"].combine_chunks().dictionary_encode()
    kinds = kind.dictionary.to_pylist()
    kind_of = kind.indices.to_numpy(zero_copy_only=False)
    identifies = np.array([name not in (WITHHELD_KIND, ORDER_KIND) for name in kinds], dtype=np.bool_)[kind_of]
    orders = np.array([name == ORDER_KIND for name in kinds], dtype=np.bool_)[kind_of]
    both_persons = is_person[a] & is_person[b]
    return Evidence(
        tokens=tokens,
        identifier_types=pa.array(types, pa.string()).take(classes.indices),
        class_names=class_names,
        class_of=class_of,
        first_available_at=_microseconds(sightings["first_available_at"]),
        is_person=is_person,
        nodes=Nodes(limited_class=limited[class_of], limits=limits, is_device=is_device[class_of]),
        limited_class_names=names,
        links=links,
        a=a,
        b=b,
        link_available_at=available,
        joins_persons=identifies & both_persons,
        joins_components=orders | both_persons,
    )
