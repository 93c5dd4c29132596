"""Links and sightings as integer codes, the form in which they are resolved and replayed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.identity.graph import FOREVER, NO_CLASS, Codes, Flags, Nodes, Pairs
from dagster_project.identity.rules import ACCOUNT_TYPE, DEVICE_TYPE, IdentifierRules

Instants = npt.NDArray[np.int64]
"""Microseconds since 1970 in UTC."""

WITHHELD_KIND = "withheld"
"""Seen together only without consent for analytics: never joins persons, only recompute units."""
ORDER_KIND = "order"
ALWAYS_KIND = "manual"
NEVER_KIND = "never"
"""No link: somebody decided that the two are never one person."""
PROBABLE_KIND = "probabilistic"

LINK_COLUMNS = ("identifier_a", "identifier_b", "link_kind", "confidence", "first_available_at")
EVIDENCE_COLUMNS = (*LINK_COLUMNS, "note")
"""The note is the reason of what somebody decided, and the tier of a probabilistic link."""

STRONG = "strong"
DAY = 86_400_000_000
"""In microseconds."""


def _microseconds(column: pa.ChunkedArray) -> Instants:
    instants: Instants = column.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy()
    return instants


@dataclass(frozen=True, kw_only=True)
class Hubs:
    """Identifiers that were seen with more than their rule's ``link_limit`` of one class.

    Attributes
    ----------
    node : array of int
        Their codes, ascending.
    since : array of int
        When the first one too many was available.
    limited_class : array of int
        The class it was of, into ``nodes.limits``.
    seen_with : array of int
        With how many of that class it was seen.
    """

    node: Codes
    since: Instants
    limited_class: Codes
    seen_with: Codes

    def __len__(self) -> int:
        return len(self.node)


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
    priority : array of int
        By code: 1 is the strongest.
    nodes : Nodes
        By code: the limits.
    limited_class_names : list of str
        Names of the classes in ``nodes``.
    first_occurred_at : array of int
        By code: when it was first seen to occur.
    links : pyarrow.Table
        ``EVIDENCE_COLUMNS``, strongest link first: kind (manual, what was seen, probabilistic), priority of its
        weaker end, confidence, first available, then the codes of its ends.
    a, b : array of int
        Ends of the links, ``a`` the smaller code.
    link_available_at : array of int
        Never before both its ends were.
    is_always : array of bool
        Whether somebody decided the link.
    is_probable, is_strong : array of bool
        Whether it is probabilistic, and of the better tier.
    joins_persons : array of bool
        Whether a link may make one person of its two ends.
    joins_components : array of bool
        Whether a link puts its two ends into one recompute unit; also one that identifies nobody, for a device's
        sessions are rebuilt as one.
    never : Pairs
        Who is never one person.
    never_available_at : array of int
        By pair of ``never``.
    never_reasons : list of str
        By pair of ``never``.
    link_limits : list of int or None
        By class, as ``class_names``: what is seen with more than so many of one limited class is a hub.
    """

    tokens: pa.Array
    identifier_types: pa.Array
    class_names: list[str]
    class_of: Codes
    first_available_at: Instants
    first_occurred_at: Instants
    is_person: Flags
    priority: Codes
    nodes: Nodes
    limited_class_names: list[str]
    links: pa.Table
    a: Codes
    b: Codes
    link_available_at: Instants
    is_always: Flags
    is_probable: Flags
    is_strong: Flags
    joins_persons: Flags
    joins_components: Flags
    never: Pairs
    never_available_at: Instants
    never_reasons: list[str]
    link_limits: list[int | None]

    def __len__(self) -> int:
        return len(self.tokens)

    @cached_property
    def person_links(self) -> Codes:
        """Positions of the links that may join persons, strongest first."""
        return np.flatnonzero(self.joins_persons)

    @cached_property
    def hubs(self) -> Hubs:
        """What was seen with too many; links that somebody decided or that are probable are not counted."""
        counted = self.joins_persons & ~self.is_always & ~self.is_probable
        a, b = self.a[counted], self.b[counted]
        limits = np.array([FOREVER if limit is None else limit for limit in self.link_limits], dtype=np.int64)
        degree = np.bincount(a, minlength=len(self)) + np.bincount(b, minlength=len(self))
        many = degree > limits[self.class_of]
        near, far = np.concatenate((a, b)), np.concatenate((b, a))
        # Few have so many links at all: only theirs are counted by class.
        of_many = np.flatnonzero(many[near] & (self.nodes.limited_class[far] != NO_CLASS))
        near, far = near[of_many], far[of_many]
        at = np.tile(self.link_available_at[counted], 2)[of_many]
        of_class = self.nodes.limited_class[far]
        order = np.lexsort((at, of_class, near))
        near, of_class, at = near[order], of_class[order], at[order]
        starts = np.flatnonzero((np.diff(near, prepend=-1) != 0) | (np.diff(of_class, prepend=-1) != 0))
        count = np.diff(np.append(starts, len(near)))
        limit = limits[self.class_of[near[starts]]]
        over = np.flatnonzero(count > limit)
        since = at[starts[over] + limit[over]]
        node, of_class, count = near[starts[over]], of_class[starts[over]], count[over]
        # The class of which it first had too many.
        order = np.lexsort((of_class, since, node))
        node, first = np.unique(node[order], return_index=True)
        found = order[first]
        return Hubs(node=node, since=since[found], limited_class=of_class[found], seen_with=count[found])

    def hub_reason(self, hub: int) -> str:
        """Say why a hub, by its position in ``hubs``, links nobody."""
        own = self.class_of[self.hubs.node[hub]]
        most = f"{self.link_limits[own]} {self.limited_class_names[self.hubs.limited_class[hub]]}"
        return f"{self.class_names[own]} seen with more than {most}"

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
        ``EVIDENCE_COLUMNS``, in any order, pairs that are never one person among them.
    sightings : pyarrow.Table
        ``identifier, first_available_at, first_occurred_at``: every identifier once.
    rules : IdentifierRules
    """
    sightings = sightings.select(["identifier", "first_available_at", "first_occurred_at"]).sort_by(
        [("first_available_at", "ascending"), ("identifier", "ascending")]
    )
    tokens = sightings["identifier"].combine_chunks()
    seen_at = _microseconds(sightings["first_available_at"])
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
    windows = [by_name[name].limit_window_days for name in names]
    limited = np.array([place.get(name, NO_CLASS) for name in class_names], dtype=np.int64)
    priority = np.array([rule.priority for rule in class_rules], dtype=np.int64)[class_of]
    is_person = np.array([rule.is_person_identifier for rule in class_rules], dtype=np.bool_)[class_of]
    is_device = np.array([name == DEVICE_TYPE for name in types], dtype=np.bool_)
    is_account = np.array([name == ACCOUNT_TYPE for name in types], dtype=np.bool_)[class_of]
    nodes = Nodes(
        limited_class=limited[class_of],
        limits=np.array([by_name[name].limit_per_person for name in names], dtype=np.int64),
        windows=np.array([FOREVER if days is None else days * DAY for days in windows], dtype=np.int64),
        seen_at=seen_at,
        is_device=is_device[class_of],
    )

    links = links.select(list(EVIDENCE_COLUMNS))
    ends = [pc.index_in(links[column], value_set=tokens) for column in ("identifier_a", "identifier_b")]
    # Of a pair that is kept apart, only one end may be among what is resolved again: then it has no say.
    is_there = pc.or_(pc.not_equal(links["link_kind"], NEVER_KIND), pc.and_(pc.is_valid(ends[0]), pc.is_valid(ends[1])))
    if not pc.all(is_there).as_py():
        links, ends = links.filter(is_there), [end.filter(is_there) for end in ends]
    codes = [end.to_numpy().astype(np.int64) for end in ends]
    a, b = np.minimum(*codes), np.maximum(*codes)
    kinds, kind_of = _encoded(links["link_kind"])
    available = np.maximum(_microseconds(links["first_available_at"]), np.maximum(seen_at[a], seen_at[b]))

    rank = np.array([{NEVER_KIND: -1, ALWAYS_KIND: 0, PROBABLE_KIND: 2}.get(kind, 1) for kind in kinds])[kind_of]
    weaker = np.maximum(priority[a], priority[b])
    order = np.lexsort((b, a, available, -links["confidence"].to_numpy(), weaker, rank))
    count = int(np.count_nonzero(rank == -1))
    apart, order = order[:count], order[count:]
    # By when they were decided, whatever their ends: the first of several is the one that is named.
    apart = apart[np.lexsort((b[apart], a[apart], available[apart]))]
    never = links.take(apart)
    links, never_pairs = links.take(order), Pairs(a=a[apart], b=b[apart])
    never_available = available[apart]
    a, b, available, kind_of = a[order], b[order], available[order], kind_of[order]

    def is_of(*of_kinds: str) -> Flags:
        flags: Flags = np.array([kind in of_kinds for kind in kinds], dtype=np.bool_)[kind_of]
        return flags

    is_probable = is_of(PROBABLE_KIND)
    is_strong = np.zeros(len(links), dtype=np.bool_)
    is_strong[is_probable] = pc.equal(links["note"].filter(pa.array(is_probable)), STRONG).fill_null(False).to_numpy()
    both_persons = is_person[a] & is_person[b]
    return Evidence(
        tokens=tokens,
        identifier_types=pa.array(types, pa.string()).take(classes.indices),
        class_names=class_names,
        class_of=class_of,
        first_available_at=seen_at,
        first_occurred_at=_microseconds(sightings["first_occurred_at"]),
        is_person=is_person,
        priority=priority,
        nodes=nodes,
        limited_class_names=names,
        links=links,
        a=a,
        b=b,
        link_available_at=available,
        is_always=is_of(ALWAYS_KIND),
        is_probable=is_probable,
        is_strong=is_strong,
        joins_persons=~is_of(WITHHELD_KIND, ORDER_KIND) & both_persons,
        joins_components=is_of(ORDER_KIND) | ~(is_account[a] | is_account[b]),
        never=never_pairs,
        never_available_at=never_available,
        never_reasons=[reason or "" for reason in never["note"].to_pylist()],
        link_limits=[rule.link_limit for rule in class_rules],
    )


def _encoded(column: pa.ChunkedArray) -> tuple[list[str], Codes]:
    """Distinct values, and which of them each row holds."""
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
