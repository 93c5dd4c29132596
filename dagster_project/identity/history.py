"""Who was known to be whom, when: the evidence replayed by day of `available_at`, never by run.

One rule of time: what became available on a local day counts from the end of that day (its last microsecond).
A question as of the end of a day sees all of that day; a question in the middle of it sees the day before.

Beside when it was known stands when it held in the world: from when the identifier was first seen to occur, as far as
is known today, until evidence ended it. One thing does: a device that is found to be shared was the person's until the
end of that day. A link that came late, or an override, tells what was true all along and ends nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from dagster_project.identity.evidence import Evidence, Instants, encode
from dagster_project.identity.graph import NO_CAUSE, NO_CLASS, Codes, breaks_rule, components, renumbered, resolve_links
from dagster_project.identity.resolution import limit_reason, override_reason
from dagster_project.identity.rules import IdentifierRules
from dagster_project.settings import end_of_day

MERGE = "merge"
SPLIT = "split"
MOVE = "move"
NEW_SHARED_DEVICE = "new_shared_device"
SHARED_DEVICE_ENDED = "shared_device_ended"

_WEIGHED_ANEW = "the evidence was weighed anew"

_EPOCH = date(1970, 1, 1)
_NEVER = np.iinfo(np.int64).max

CHANGES_SCHEMA = pa.schema(
    [
        ("change_id", pa.string()),
        ("changed_on", pa.date32()),
        ("kind", pa.string()),
        ("person_id_before", pa.string()),
        ("person_id_after", pa.string()),
        ("identifiers", pa.list_(pa.string())),
        ("reason", pa.string()),
        ("component_id", pa.string()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class History:
    """Who was known to be whom, when.

    Attributes
    ----------
    identifier_history : pyarrow.Table
        ``identifier, person_id, valid_from, valid_to, known_from, known_to``: known at an instant t when
        known_from <= t < known_to; a null known_to holds until today. It held in the world from valid_from until
        valid_to, null while it still does.
    changes : pyarrow.Table
        One row per day, kind and pair of persons: ``CHANGES_SCHEMA``. ``merge``: a person went up in another;
        ``split``: identifiers left for a new person; ``move``: they left for a person who was there before;
        ``new_shared_device`` and ``shared_device_ended``: a device stopped or began to belong to one person.
    """

    identifier_history: pa.Table
    changes: pa.Table


def replay(links: pa.Table, *, sightings: pa.Table, rules: IdentifierRules, timezone: str) -> History:
    """Replay links and sightings by the local day on which they became available.

    Parameters
    ----------
    links, sightings, rules
        As for `resolution.resolve`.
    timezone : str
        IANA zone in which days are cut.
    """
    return replay_evidence(encode(links, sightings=sightings, rules=rules), timezone=timezone)


@dataclass(frozen=True, kw_only=True)
class _Days:
    """Local days, numbered from the first in the evidence."""

    first: date
    ends: Instants

    @classmethod
    def covering(cls, instants: Instants, *, timezone: str) -> _Days:
        """Days from the one of the earliest to the one of the latest instant."""
        zone = ZoneInfo(timezone)
        bounds = [
            (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(instant))).astimezone(zone).date()
            for instant in (instants.min(), instants.max())
        ]
        count = (bounds[1] - bounds[0]).days + 1
        ends = [end_of_day(bounds[0] + timedelta(days=n), timezone=timezone) for n in range(count)]
        return cls(first=bounds[0], ends=np.array(ends, dtype="datetime64[us]").astype(np.int64))

    def number(self, instants: Instants) -> Codes:
        """Day of each instant."""
        return np.searchsorted(self.ends, instants)

    def dates(self, numbers: Codes) -> pa.Array:
        """Calendar dates of day numbers."""
        offset = (self.first - _EPOCH).days
        return pa.array((numbers + offset).astype(np.int32), pa.int32()).cast(pa.date32())


@dataclass(kw_only=True)
class _Log:
    """What happened, in chunks of arrays that belong together by position."""

    # A node took a label on a day; of several on one day the last stands.
    node: list[Codes] = field(default_factory=list)
    label: list[Codes] = field(default_factory=list)
    day: list[Codes] = field(default_factory=list)
    # A person was touched on a day by a link, or by pair n that is never one person, as link -1 - n; hub n comes
    # after all pairs.
    touched: list[Codes] = field(default_factory=list)
    touched_on: list[Codes] = field(default_factory=list)
    touched_by: list[Codes] = field(default_factory=list)
    # A device became shared for a cause, or (NO_CAUSE) ceased to be.
    device: list[Codes] = field(default_factory=list)
    device_cause: list[Codes] = field(default_factory=list)
    device_on: list[Codes] = field(default_factory=list)

    def take_label(self, node: Codes, label: Codes, day: Codes) -> None:
        self.node.append(node)
        self.label.append(label)
        self.day.append(day)

    def touch(self, person: Codes, link: Codes, day: Codes) -> None:
        self.touched.append(person)
        self.touched_by.append(link)
        self.touched_on.append(day)

    def share(self, device: Codes, cause: Codes, day: Codes) -> None:
        self.device.append(device)
        self.device_cause.append(cause)
        self.device_on.append(day)


def _joined(chunks: list[Codes]) -> Codes:
    return np.concatenate(chunks) if chunks else np.empty(0, dtype=np.int64)


def replay_evidence(evidence: Evidence, *, timezone: str) -> History:
    """Replay evidence that is already coded; see `replay`."""
    if not len(evidence):
        nothing = np.empty(0, dtype=np.int64)
        return History(
            identifier_history=_history_table(evidence, nothing, nothing, nothing, nothing, nothing),
            changes=CHANGES_SCHEMA.empty_table(),
        )
    days = _Days.covering(
        np.concatenate((evidence.first_available_at, evidence.link_available_at, evidence.never_available_at)),
        timezone=timezone,
    )
    seen_on = days.number(evidence.first_available_at)
    links = evidence.person_links
    linked_on = days.number(evidence.link_available_at[links])
    hub_on = np.full(len(evidence), _NEVER)
    hub_on[evidence.hubs.node] = days.number(evidence.hubs.since)
    # What came on the day on which its end became a hub, or later, never counted.
    end = np.minimum(hub_on[evidence.a[links]], hub_on[evidence.b[links]])
    counted = evidence.is_always[links] | (linked_on < end)
    links, linked_on = links[counted], linked_on[counted]
    a, b = evidence.a[links], evidence.b[links]
    # But for hubs evidence only ever adds up: a component that breaks no rule today broke none before.
    group = components(len(evidence), a, b)
    is_broken = breaks_rule(group, evidence.nodes, evidence.never) | np.isin(group, group[evidence.hubs.node])
    log = _Log()
    log.take_label(*(np.flatnonzero(evidence.is_person),) * 2, seen_on[evidence.is_person])
    at = np.flatnonzero(~is_broken[a])
    _replay_unlimited(evidence, log, links=links[at], a=a[at], b=b[at], group=group, linked_on=linked_on[at])
    at = np.flatnonzero(is_broken[a])
    forbidden_on = days.number(evidence.never_available_at)
    _replay_limited(
        evidence,
        log,
        links=links[at],
        a=a[at],
        b=b[at],
        linked_on=linked_on[at],
        forbidden_on=forbidden_on,
        hub_on=hub_on,
    )
    return _tell(evidence, log, days=days)


def _rounds(group: Codes, day: Codes) -> list[Codes]:
    """Positions of what happens on each group's first day, then on each group's second day, and so on.

    Groups have nothing to do with each other, so a year of days is replayed in as many rounds as its busiest group
    has days.
    """
    if not len(group):
        return []
    span = int(day.max()) + 1
    distinct, place = np.unique(group * span + day, return_inverse=True)
    known = distinct // span
    number = (np.arange(len(known)) - np.searchsorted(known, known))[place]
    order = np.argsort(number, kind="stable")
    return np.split(order, np.cumsum(np.bincount(number))[:-1])


def _replay_unlimited(
    evidence: Evidence, log: _Log, *, links: Codes, a: Codes, b: Codes, group: Codes, linked_on: Codes
) -> None:
    """Replay components in which every link joins: a label is lost once, to a smaller one, and never returns."""
    parent = np.arange(len(evidence))

    def find(node: Codes) -> Codes:
        root = parent[node]
        while (above := parent[root] != root).any():
            root[above] = parent[root[above]]
        parent[node] = root
        return root

    heir = np.arange(len(evidence))
    lost_on = np.full(len(evidence), _NEVER)
    for at in _rounds(group[a], linked_on):
        left, right = find(a[at]), find(b[at])
        apart = left != right
        left, right, by, day = left[apart], right[apart], links[at[apart]], linked_on[at[apart]]
        both, day = np.concatenate((left, right)), np.concatenate((day, day))
        log.touch(both, np.concatenate((by, by)), day)
        roots, first, ends = np.unique(both, return_index=True, return_inverse=True)
        label = roots[components(len(roots), ends[: len(left)], ends[len(left) :])]
        loses = label != roots
        heir[roots[loses]] = parent[roots[loses]] = label[loses]
        lost_on[roots[loses]] = day[first[loses]]

    node = np.unique(np.concatenate((a, b)))
    label = node
    while len(node := node[(still := lost_on[label] != _NEVER)]):
        lost = label[still]
        label = heir[lost]
        log.take_label(node, label, lost_on[lost])


def _replay_limited(
    evidence: Evidence,
    log: _Log,
    *,
    links: Codes,
    a: Codes,
    b: Codes,
    linked_on: Codes,
    forbidden_on: Codes,
    hub_on: Codes,
) -> None:
    """Replay components that break a rule by now: each of their days with news resolves them anew."""
    members, ends = np.unique(np.concatenate((a, b, evidence.hubs.node)), return_inverse=True)
    nodes = evidence.nodes.take(members)
    a, b, hubs = np.split(ends, [len(a), 2 * len(a)])
    hub_class = np.full(len(members), NO_CLASS)
    hub_class[hubs] = evidence.hubs.limited_class
    hub_on = hub_on[members]
    is_always = evidence.is_always[links]
    group = components(len(members), a, b)
    never, pairs = evidence.never.within(members)
    together = np.flatnonzero(group[never.a] == group[never.b])
    never, pairs = never.take(together), pairs[together]
    forbidden_on = forbidden_on[pairs]
    label = np.arange(len(members))
    shared_cause = np.full(len(members), NO_CAUSE)

    happens_to = np.concatenate((group[a], group[never.a], group[hubs]))
    happens_on = np.concatenate((linked_on, forbidden_on, hub_on[hubs]))
    today, last = np.full(len(members), -1), np.full(len(members), -1)  # by group
    np.maximum.at(last, happens_to, happens_on)
    rest = np.arange(len(links))
    for at in _rounds(happens_to, happens_on):
        news = at[at < len(links)]
        apart = at[(at >= len(links)) & (at < len(links) + len(never))] - len(links)
        found = at[at >= len(links) + len(never)] - len(links) - len(never)
        today[happens_to[at]] = happens_on[at]
        active = rest[linked_on[rest] <= today[group[a[rest]]]]
        by_link, by_pair, by_hub = links[news], -1 - pairs[apart], -1 - len(evidence.never) - found
        touched = np.concatenate((a[news], b[news], never.a[apart], never.b[apart], hubs[found]))
        log.touch(
            members[label[touched]],
            np.concatenate((by_link, by_link, by_pair, by_pair, by_hub)),
            today[group[touched]],
        )
        part, inner = np.unique(np.concatenate((a[active], b[active], hubs[found])), return_inverse=True)
        day = today[group[part]]
        inside, positions = never.within(part)
        now_forbidden = forbidden_on[positions] <= today[group[never.a[positions]]]
        resolved = resolve_links(
            nodes.take(part),
            inner[: len(active)],
            inner[len(active) : 2 * len(active)],
            is_always=is_always[active],
            never=inside.take(now_forbidden),
            hub_class=np.where(hub_on[part] <= day, hub_class[part], NO_CLASS),
        )
        now = part[resolved.label]
        moved = now != label[part]
        log.take_label(members[part[moved]], members[now[moved]], day[moved])
        flipped = (resolved.shared_cause != NO_CAUSE) != (shared_cause[part] != NO_CAUSE)
        numbers = pairs[positions[now_forbidden]]
        log.share(members[part[flipped]], renumbered(resolved.shared_cause[flipped], numbers, nodes), day[flipped])
        label[part], shared_cause[part] = now, resolved.shared_cause
        rest = rest[today[group[a[rest]]] < last[group[a[rest]]]]


def _tell(evidence: Evidence, log: _Log, *, days: _Days) -> History:
    """Turn the log into intervals and changes."""
    node, label, day = _joined(log.node), _joined(log.label), _joined(log.day)
    order = np.lexsort((np.arange(len(node)), day, node))
    node, label, day = node[order], label[order], day[order]
    last_of_day = np.append((node[1:] != node[:-1]) | (day[1:] != day[:-1]), True)
    node, label, day = node[last_of_day], label[last_of_day], day[last_of_day]
    is_first = np.append(True, node[1:] != node[:-1])
    news = is_first | np.append(True, label[1:] != label[:-1])
    node, label, day, is_first = node[news], label[news], day[news], is_first[news]

    until = np.append(np.where(is_first[1:], _NEVER, days.ends[day[1:]]), _NEVER)
    # A row that ended as its device was found to be shared no longer holds in the world either.
    span = len(days.ends)
    is_found = _joined(log.device_cause) != NO_CAUSE
    found = _joined(log.device)[is_found] * span + _joined(log.device_on)[is_found]
    ended = np.flatnonzero(until != _NEVER)
    ended = ended[np.isin(node[ended] * span + day[np.minimum(ended + 1, len(day) - 1)], found)]
    over = np.full(len(node), _NEVER)
    over[ended] = until[ended]
    history = _history_table(evidence, node, label, over, days.ends[day], until)

    later = np.flatnonzero(~is_first)
    moves = _Moves(node=node[later], day=day[later], before=label[later - 1], after=label[later])
    changes = _changes(evidence, log, moves=moves, days=days)
    return History(identifier_history=history, changes=changes)


def _history_table(
    evidence: Evidence, node: Codes, label: Codes, over: Instants, since: Instants, until: Instants
) -> pa.Table:
    return pa.table(
        {
            "identifier": evidence.tokens.take(node),
            "person_id": evidence.person_ids(label),
            "valid_from": pa.array(evidence.first_occurred_at[node], pa.timestamp("us")),
            "valid_to": pa.array(over, pa.timestamp("us"), mask=over == _NEVER),
            "known_from": pa.array(since, pa.timestamp("us")),
            "known_to": pa.array(until, pa.timestamp("us"), mask=until == _NEVER),
        }
    )


@dataclass(frozen=True, kw_only=True)
class _Moves:
    """A known identifier went from one person to another on a day."""

    node: Codes
    day: Codes
    before: Codes
    after: Codes


def _changes(evidence: Evidence, log: _Log, *, moves: _Moves, days: _Days) -> pa.Table:
    """Name each day's moves between two persons, and the devices that became shared."""
    joined = evidence.joins_components
    component = components(len(evidence), evidence.a[joined], evidence.b[joined])
    devices = _device_changes(evidence, log, moves, span=len(days.ends))
    persons = _person_changes(evidence, log, moves, component=component, span=len(days.ends))
    day, before, after = (
        np.concatenate((getattr(devices, part), getattr(persons, part))) for part in ("day", "before", "after")
    )
    changed_on = days.dates(day)
    kind = [*devices.kind, *persons.kind]
    ids_before, ids_after = evidence.person_ids(before), evidence.person_ids(after)
    told = zip(changed_on.to_pylist(), kind, ids_before.to_pylist(), ids_after.to_pylist(), strict=True)
    sizes = np.concatenate((devices.sizes, persons.sizes))
    return pa.table(
        {
            "change_id": pa.array([_change_id(*parts) for parts in told], pa.string()),
            "changed_on": changed_on,
            "kind": pa.array(kind, pa.string()),
            "person_id_before": ids_before,
            "person_id_after": ids_after,
            "identifiers": pa.ListArray.from_arrays(
                np.append(0, np.cumsum(sizes)).astype(np.int32),
                evidence.tokens.take(np.concatenate((devices.nodes, persons.nodes))),
            ),
            "reason": pa.array([*devices.reason, *persons.reason], pa.string()),
            "component_id": evidence.tokens.take(component[before]),
        },
        schema=CHANGES_SCHEMA,
    ).sort_by([("changed_on", "ascending"), ("change_id", "ascending")])


def _change_id(changed_on: date, kind: str, before: str, after: str) -> str:
    return "c_" + hashlib.sha256(f"{changed_on}|{kind}|{before}|{after}".encode()).hexdigest()[:16]


@dataclass(frozen=True, kw_only=True)
class _Changes:
    """Changes by position; ``nodes`` holds the identifiers of all of them, ``sizes`` how many each has."""

    day: Codes
    before: Codes
    after: Codes
    kind: list[str]
    reason: list[str]
    nodes: Codes
    sizes: Codes


def _device_changes(evidence: Evidence, log: _Log, moves: _Moves, *, span: int) -> _Changes:
    """One change per device that became shared or ceased to be."""
    device, device_cause, day = _joined(log.device), _joined(log.device_cause), _joined(log.device_on)
    moved = dict(zip((moves.node * span + moves.day).tolist(), range(len(moves.node)), strict=True))
    at = np.array([moved.get(key, -1) for key in (device * span + day).tolist()], dtype=np.int64)
    # A device that keeps its own label, as the anchor of its person, did not move.
    before, after = device.copy(), device.copy()
    before[at >= 0], after[at >= 0] = moves.before[at[at >= 0]], moves.after[at[at >= 0]]
    is_shared = (device_cause != NO_CAUSE).tolist()
    return _Changes(
        day=day,
        before=before,
        after=after,
        kind=[NEW_SHARED_DEVICE if shared else SHARED_DEVICE_ENDED for shared in is_shared],
        reason=[
            limit_reason(evidence, cause) if shared else "nothing speaks against one person any more"
            for shared, cause in zip(is_shared, device_cause.tolist(), strict=True)
        ],
        nodes=device,
        sizes=np.ones(len(device), dtype=np.int64),
    )


def _person_changes(evidence: Evidence, log: _Log, moves: _Moves, *, component: Codes, span: int) -> _Changes:
    """One change per day and pair of persons, devices that became shared left out."""
    device_key = _joined(log.device) * span + _joined(log.device_on)
    keep = ~np.isin(moves.node * span + moves.day, device_key)
    order = np.flatnonzero(keep)[
        np.lexsort([part[keep] for part in (moves.node, moves.after, moves.before, moves.day)])
    ]
    node, day, before, after = (part[order] for part in (moves.node, moves.day, moves.before, moves.after))
    is_start = np.ones(len(node), dtype=np.bool_)
    is_start[1:] = (day[1:] != day[:-1]) | (before[1:] != before[:-1]) | (after[1:] != after[:-1])
    starts = np.flatnonzero(is_start)
    day, before, after = day[starts], before[starts], after[starts]

    # A person is there while its anchor carries its own label.
    arrivals, departures = moves.node == moves.after, moves.node == moves.before
    is_new = np.isin(after * span + day, (moves.node * span + moves.day)[arrivals])
    is_gone = np.isin(before * span + day, (moves.node * span + moves.day)[departures])
    withdrawn = component[_joined(log.device)] * span + _joined(log.device_on)
    withdrawn = withdrawn[_joined(log.device_cause) != NO_CAUSE]
    by_link = _link_reasons(evidence, log, before * span + day, span=span)
    lost_device = is_new & np.isin(component[before] * span + day, withdrawn)
    by_hub = _joined(log.touched_by) < -len(evidence.never)
    of_hub = (_joined(log.touched) * span + _joined(log.touched_on))[by_hub]
    lost_device &= ~np.isin(before * span + day, of_hub)
    return _Changes(
        day=day,
        before=before,
        after=after,
        kind=[SPLIT if new else MERGE if gone else MOVE for new, gone in zip(is_new, is_gone, strict=True)],
        reason=[
            "a shared device was withdrawn" if lost else reason
            for lost, reason in zip(lost_device, by_link, strict=True)
        ],
        nodes=node,
        sizes=np.diff(np.append(starts, len(node))),
    )


def _link_reasons(evidence: Evidence, log: _Log, keys: Codes, *, span: int) -> list[str]:
    """Say which override or new link, the strongest of the day, touched each person (keyed person and day)."""
    key = _joined(log.touched) * span + _joined(log.touched_on)
    link = _joined(log.touched_by)
    order = np.lexsort((link, key))
    known, first = np.unique(key[order], return_index=True)
    if not len(known):
        return [_WEIGHED_ANEW] * len(keys)
    place = np.minimum(np.searchsorted(known, keys), len(known) - 1)
    strongest = link[order][first][place]
    return [
        _reason_of(evidence, by) if found else _WEIGHED_ANEW
        for by, found in zip(strongest.tolist(), (known[place] == keys).tolist(), strict=True)
    ]


def _reason_of(evidence: Evidence, by: int) -> str:
    """Say what a link, a pair that is never one person, or a hub tells."""
    if by < -len(evidence.never):
        return evidence.hub_reason(-1 - by - len(evidence.never))
    if by < 0:
        return override_reason("never", evidence.never_reasons[-1 - by])
    if evidence.is_always[by]:
        return override_reason("always", evidence.links["note"][by].as_py())
    names = sorted(evidence.class_names[evidence.class_of[end[by]]] for end in (evidence.a, evidence.b))
    return " probably the same as ".join(names) if evidence.is_probable[by] else " seen with ".join(names)
