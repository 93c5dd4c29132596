"""Connected components under limits, over integer-coded identifiers.

Codes are dense and ordered: a smaller code is an identifier that was available earlier, so the smallest code
of a component is its anchor. Links come in order of strength. Whatever breaks no rule is one call of
``scipy.sparse.csgraph.connected_components``; only what is left is joined link by link.

Why a link was refused, or a device found shared, is a cause: a class below ``len(nodes.limits)``, of which one
person would hold too many, or ``len(nodes.limits)`` plus the position of a pair that is never to be one person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NO_CLASS = -1
NO_CAUSE = NO_CLASS
FOREVER = int(np.iinfo(np.int64).max)

_FEW = 500


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """What the limits need to know of each identifier.

    Attributes
    ----------
    limited_class : array of int, one per node
        Class (type and namespace) whose count is limited; ``NO_CLASS`` where there is no limit.
    limits : array of int, one per class
        How many of a class one person may hold.
    windows : array of int, one per class
        Microseconds: a limit counts those first available within less than so long; ``FOREVER`` counts all.
    seen_at : array of int, one per node
        When it was first available, in microseconds.
    is_device : array of bool, one per node
    """

    limited_class: Codes
    limits: Codes
    windows: Codes
    seen_at: Codes
    is_device: Flags

    def __len__(self) -> int:
        return len(self.limited_class)

    def take(self, nodes: Codes) -> Nodes:
        """Return some of the nodes, coded anew in the order given."""
        return Nodes(
            limited_class=self.limited_class[nodes],
            limits=self.limits,
            windows=self.windows,
            seen_at=self.seen_at[nodes],
            is_device=self.is_device[nodes],
        )


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Pairs of nodes that are never to be one person.

    Attributes
    ----------
    a, b : array of int
        Ends of the pairs.
    """

    a: Codes
    b: Codes

    def __len__(self) -> int:
        return len(self.a)

    def take(self, pairs: Codes | Flags) -> Pairs:
        """Return some of the pairs."""
        return Pairs(a=self.a[pairs], b=self.b[pairs])

    def within(self, members: Codes) -> tuple[Pairs, Codes]:
        """Return the pairs between some nodes (sorted), coded anew, and where they stood."""
        inside = np.flatnonzero(np.isin(self.a, members) & np.isin(self.b, members))
        return (
            Pairs(a=np.searchsorted(members, self.a[inside]), b=np.searchsorted(members, self.b[inside])),
            inside,
        )


NO_PAIRS = Pairs(a=np.empty(0, dtype=np.int64), b=np.empty(0, dtype=np.int64))


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """Who is one person.

    Attributes
    ----------
    label : array of int, one per node
        Smallest code of the node's person.
    shared_cause : array of int, one per node
        For a shared device the cause; ``NO_CAUSE`` for every other node.
    refused : array of int
        Positions of the links that were refused, in order (those of shared devices only where a pair forbids them).
    refused_cause : array of int, one per refused link
    """

    label: Codes
    shared_cause: Codes
    refused: Codes
    refused_cause: Codes

    @property
    def is_shared(self) -> Flags:
        """Whether each node is a shared device."""
        is_shared: Flags = self.shared_cause != NO_CAUSE
        return is_shared


def components(size: int, a: Codes, b: Codes) -> Codes:
    """Label every node with the smallest code it is connected to.

    Parameters
    ----------
    size : int
        Number of nodes.
    a, b : array of int
        Ends of the links.
    """
    if len(a) <= _FEW:
        return _few_components(size, a, b)
    links = coo_matrix((np.ones(len(a), dtype=np.int8), (a, b)), shape=(size, size))
    count, component = connected_components(links, directed=False)
    smallest = np.empty(count, dtype=np.int64)
    # Of repeated indices the last assignment stays: descending codes leave the smallest.
    smallest[component[::-1]] = np.arange(size - 1, -1, -1)
    label: Codes = smallest[component]
    return label


def _few_components(size: int, a: Codes, b: Codes) -> Codes:
    """The same for few links, for which a sparse matrix takes longer to set up than to walk; days have few."""
    parent: dict[int, int] = {}

    def find(node: int) -> int:
        while (above := parent.setdefault(node, node)) != node:
            parent[node] = node = parent[above]
        return node

    for left, right in zip(a.tolist(), b.tolist(), strict=True):
        left, right = find(left), find(right)
        parent[max(left, right)] = min(left, right)
    label = np.arange(size)
    label[list(parent)] = [find(node) for node in parent]
    return label


def breaks_rule(label: Codes, nodes: Nodes, never: Pairs = NO_PAIRS) -> Flags:
    """Tell for each node whether its component holds too many of some class, or a pair that is never one person."""
    broken = np.zeros(len(nodes), dtype=np.bool_)
    for limited_class, limit in enumerate(nodes.limits.tolist()):
        mine = np.flatnonzero(nodes.limited_class == limited_class)
        over = np.bincount(label[mine], minlength=len(nodes)) > limit
        if nodes.windows[limited_class] != FOREVER:
            mine = mine[over[label[mine]]]
            over[:] = False
            over[_crowded(label[mine], nodes.seen_at[mine], limit, int(nodes.windows[limited_class]))] = True
        broken |= over
    broken[label[never.a[label[never.a] == label[never.b]]]] = True
    broken_label: Flags = broken[label]
    return broken_label


def _crowded(holder: Codes, seen_at: Codes, limit: int, window: int) -> Codes:
    """Holders (each as often as it happens) with more than ``limit`` items within less than ``window``."""
    order = np.lexsort((seen_at, holder))
    holder, seen_at = holder[order], seen_at[order]
    first, last = slice(0, max(len(holder) - limit, 0)), slice(limit, None)
    crowded: Codes = holder[first][(holder[first] == holder[last]) & (seen_at[last] - seen_at[first] < window)]
    return crowded


def resolve_links(
    nodes: Nodes,
    a: Codes,
    b: Codes,
    *,
    is_always: Flags | None = None,
    never: Pairs = NO_PAIRS,
    hub_class: Codes | None = None,
) -> Resolved:
    """Join nodes, strongest link first, while every limit holds and no pair of ``never`` becomes one person.

    A device that was itself seen with more identifiers of a class than one person may hold is shared: its
    links are withdrawn. So is a device one of whose links is refused, and its component is joined again
    without it, until no device is refused anything. What came with a user whom the device was seen with says
    no more about the device than that user does: a telephone that was passed on makes no device a shared one.

    What links of ``is_always`` join counts as one where a limit counts, so no limit refuses them, and no device at
    the end of one is shared. A link between the two ends of a pair of ``never`` is no evidence at all; a device is
    not shared for a link that is refused because of a pair it is itself an end of.

    A hub was seen with so many that it says nothing of anybody: its links are no evidence, but for those of
    ``is_always``. A device that is a hub is a shared one.

    Parameters
    ----------
    nodes : Nodes
    a, b : array of int
        Ends of the links, strongest link first.
    is_always : array of bool, one per link, optional
        Links that join whatever the limits, before all others.
    never : Pairs
    hub_class : array of int, one per node, optional
        For a hub the class of which it was seen with too many; ``NO_CLASS`` for every other node.
    """
    if hub_class is not None and (hub_class != NO_CLASS).any():
        return _resolve_without_hubs(nodes, a, b, is_always=is_always, never=never, hub_class=hub_class)
    label = components(len(nodes), a, b)
    broken = breaks_rule(label, nodes, never)
    shared_cause = np.full(len(nodes), NO_CAUSE)
    if not broken.any():
        none = np.empty(0, dtype=np.int64)
        return Resolved(label=label, shared_cause=shared_cause, refused=none, refused_cause=none)
    members = np.flatnonzero(broken)
    links = np.flatnonzero(broken[a])
    inside, positions = never.within(members)
    inner = _resolve_broken(
        nodes.take(members),
        np.searchsorted(members, a[links]),
        np.searchsorted(members, b[links]),
        np.zeros(len(links), dtype=np.bool_) if is_always is None else is_always[links],
        inside,
    )
    label[members] = members[inner.label]
    shared_cause[members] = renumbered(inner.shared_cause, positions, nodes)
    return Resolved(
        label=label,
        shared_cause=shared_cause,
        refused=links[inner.refused],
        refused_cause=renumbered(inner.refused_cause, positions, nodes),
    )


def _resolve_without_hubs(
    nodes: Nodes, a: Codes, b: Codes, *, is_always: Flags | None, never: Pairs, hub_class: Codes
) -> Resolved:
    """Resolve what is left when the links of hubs are withdrawn."""
    decided = np.zeros(len(a), dtype=np.bool_) if is_always is None else is_always
    is_hub = hub_class != NO_CLASS
    kept = np.flatnonzero(decided | ~(is_hub[a] | is_hub[b]))
    resolved = resolve_links(nodes, a[kept], b[kept], is_always=decided[kept], never=never)
    is_shared = is_hub & nodes.is_device
    given = np.setdiff1d(np.flatnonzero(decided), _forbidden_links(nodes, a, b, never)[0], assume_unique=True)
    is_shared[a[given]] = is_shared[b[given]] = False
    return Resolved(
        label=resolved.label,
        shared_cause=np.where(is_shared, hub_class, resolved.shared_cause),
        refused=kept[resolved.refused],
        refused_cause=resolved.refused_cause,
    )


def renumbered(cause: Codes, positions: Codes, nodes: Nodes) -> Codes:
    """Causes among some of the pairs as causes among all of them; ``positions`` says where each pair stood."""
    cause = cause.copy()
    forbidden = cause >= len(nodes.limits)
    cause[forbidden] = len(nodes.limits) + positions[cause[forbidden] - len(nodes.limits)]
    return cause


def _resolve_broken(nodes: Nodes, a: Codes, b: Codes, is_always: Flags, never: Pairs) -> Resolved:
    """Resolve components that break a rule."""
    label = np.arange(len(nodes))
    direct, direct_cause = _forbidden_links(nodes, a, b, never)
    refused, refused_cause = [direct], [direct_cause]
    pending = np.setdiff1d(np.arange(len(a)), direct, assume_unique=True)

    given = pending[is_always[pending]]
    is_device = nodes.is_device.copy()
    is_device[a[given]] = is_device[b[given]] = False
    one = _join_in_order(nodes, a[given], b[given], is_always[given], never)[0]
    shared_cause = _overcrowded_devices(nodes, a[pending], b[pending], one, is_device)
    explained, explained_cause = _explained_sightings(
        nodes, a[pending], b[pending], one, is_device & (shared_cause == NO_CAUSE), never
    )
    explained = pending[explained]
    pending = np.setdiff1d(pending, explained, assume_unique=True)
    while len(pending):
        is_shared = shared_cause != NO_CAUSE
        pending = pending[~(is_shared[a[pending]] | is_shared[b[pending]])]
        members, ends = np.unique(np.concatenate((a[pending], b[pending])), return_inverse=True)
        inner_a, inner_b = ends[: len(pending)], ends[len(pending) :]
        inner_nodes, (inner_never, positions) = nodes.take(members), never.within(members)
        group = components(len(members), inner_a, inner_b)
        broken = breaks_rule(group, inner_nodes, inner_never)
        label[members] = members[group]
        ordered = np.flatnonzero(broken[inner_a])
        joined, no, no_cause, no_named = _join_in_order(
            inner_nodes, inner_a[ordered], inner_b[ordered], is_always[pending[ordered]], inner_never
        )
        label[members[broken]] = members[joined[broken]]
        no, no_cause = ordered[no], renumbered(no_cause, positions, nodes)

        is_again = np.zeros(len(members), dtype=np.bool_)  # by group: a device was found to be shared
        for end, is_named in zip((inner_a[no], inner_b[no]), no_named, strict=True):
            device = is_device[members[end]] & ~is_named
            shared_cause[members[end[device]]] = no_cause[device]
            is_again[group[end[device]]] = True
        again = is_again[group]
        label[members[again]] = members[again]
        settled = ~again[inner_a[no]]
        refused.append(pending[no[settled]])
        refused_cause.append(no_cause[settled])
        pending = pending[again[inner_a]]
    is_shared = shared_cause != NO_CAUSE
    apart = label[a[explained]] != label[b[explained]]
    apart &= ~(is_shared[a[explained]] | is_shared[b[explained]])
    refused.append(explained[apart])
    refused_cause.append(explained_cause[apart])
    positions, causes = np.concatenate(refused), np.concatenate(refused_cause)
    order = np.argsort(positions, kind="stable")
    return Resolved(label=label, shared_cause=shared_cause, refused=positions[order], refused_cause=causes[order])


def _forbidden_links(nodes: Nodes, a: Codes, b: Codes, never: Pairs) -> tuple[Codes, Codes]:
    """Links between the two ends of a pair of ``never``, and their causes."""
    pairs = np.minimum(never.a, never.b) * len(nodes) + np.maximum(never.a, never.b)
    distinct, first = np.unique(pairs, return_index=True)
    links = np.minimum(a, b) * len(nodes) + np.maximum(a, b)
    forbidden = np.flatnonzero(np.isin(links, distinct))
    return forbidden, len(nodes.limits) + first[np.searchsorted(distinct, links[forbidden])]


def _overfull(nodes: Nodes, holder: Codes, held: Codes, one: Codes) -> tuple[Codes, Codes]:
    """Holders and classes of which they hold too many, sorted; what has one code in ``one`` counts as one."""
    limited = nodes.limited_class[held] != NO_CLASS
    holder, held = holder[limited], held[limited]
    width = len(nodes.limits)
    seen_at = nodes.seen_at[held]
    key = holder * width + nodes.limited_class[held]
    order = np.lexsort((seen_at, one[held], key))
    key, seen_at, same = key[order], seen_at[order], one[held][order]
    is_first = np.ones(len(key), dtype=np.bool_)
    is_first[1:] = (key[1:] != key[:-1]) | (same[1:] != same[:-1])
    key, seen_at = key[is_first], seen_at[is_first]
    distinct, count = np.unique(key, return_counts=True)
    over = distinct[count > nodes.limits[distinct % width]]
    windows = nodes.windows[over % width]
    found = [over[windows == FOREVER]]
    for limited_class in np.unique(over[windows != FOREVER] % width).tolist():
        mine = np.isin(key, over[over % width == limited_class])
        found.append(
            _crowded(key[mine], seen_at[mine], int(nodes.limits[limited_class]), int(nodes.windows[limited_class]))
        )
    overfull = np.unique(np.concatenate(found))
    return overfull // width, overfull % width


def _overcrowded_devices(nodes: Nodes, a: Codes, b: Codes, one: Codes, is_device: Flags) -> Codes:
    """For each device the first class of which it was itself seen with too many, else ``NO_CAUSE``."""
    near, far = np.concatenate((a, b)), np.concatenate((b, a))
    near, far = near[is_device[near]], far[is_device[near]]
    # The device itself counts where devices are limited.
    itself = np.unique(near)
    device, limited_class = _overfull(nodes, np.concatenate((near, itself)), np.concatenate((far, itself)), one)
    result = np.full(len(nodes), NO_CAUSE)
    result[device[::-1]] = limited_class[::-1]  # the first class of each device stays
    return result


def _explained_sightings(
    nodes: Nodes, a: Codes, b: Codes, one: Codes, is_device: Flags, never: Pairs
) -> tuple[Codes, Codes]:
    """Find links of a device that another of its links accounts for; return their positions and causes.

    Such a link leads to something that was also seen with an identifier of the device itself, one that is contested:
    the component holds too many of its class, or a pair of ``never`` that it is an end of. Whether that something
    belongs there is between those two.
    """
    contested = np.full(len(nodes), NO_CAUSE)
    group = components(len(nodes), a, b)
    inside = np.flatnonzero(group[never.a] == group[never.b])[::-1]  # the first pair of each node stays
    for end in (never.b, never.a):
        contested[end[inside]] = len(nodes.limits) + inside
    everyone = np.arange(len(nodes))
    holder, held_class = _overfull(nodes, group, everyone, one)
    mine = group * len(nodes.limits) + nodes.limited_class
    is_over = np.isin(mine, holder * len(nodes.limits) + held_class) & (nodes.limited_class != NO_CLASS)
    contested[is_over] = nodes.limited_class[is_over]

    near, far = np.concatenate((a, b)), np.concatenate((b, a))
    position = np.tile(np.arange(len(a)), 2)
    own = np.flatnonzero(is_device[near] & (contested[far] != NO_CAUSE))
    own = own[np.argsort(near[own], kind="stable")]
    other = np.flatnonzero(is_device[near] & (contested[far] == NO_CAUSE) & ~nodes.is_device[far])
    first = np.searchsorted(near[own], near[other])
    count = np.searchsorted(near[own], near[other], side="right") - first
    # Each other link beside each link of the same device to one of its own.
    row = np.repeat(np.arange(len(other)), count)
    beside = own[first[row] + np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)]
    ends = np.stack((far[other[row]], far[beside]))
    known = np.minimum(a, b) * len(nodes) + np.maximum(a, b)
    is_known = np.isin(ends.min(axis=0) * len(nodes) + ends.max(axis=0), known)
    explained, at = np.unique(position[other[row]][is_known], return_index=True)
    return explained, contested[far[beside][is_known][at]]


def _join_in_order(
    nodes: Nodes, a: Codes, b: Codes, is_always: Flags, never: Pairs
) -> tuple[Codes, Codes, Codes, Flags]:
    """Join link by link, those of ``is_always`` first.

    Returns
    -------
    label : array of int, one per node
    refused, cause : array of int
        Positions of refused links, and why.
    is_named : array of bool, one row for ``a`` and one for ``b``
        Whether a pair of ``never`` names that end of the refused link and somebody at its other side.
    """
    parent = list(range(len(nodes)))
    held: list[dict[int, int]] = [{c: 1} if c != NO_CLASS else {} for c in nodes.limited_class.tolist()]
    limits, windows = nodes.limits.tolist(), nodes.windows.tolist()
    has_window = [window != FOREVER for window in windows]
    # When those of a class with a window were first available, earliest first.
    times: dict[int, dict[int, list[int]]] = {
        node: {c: [at]}
        for node, (c, at) in enumerate(zip(nodes.limited_class.tolist(), nodes.seen_at.tolist(), strict=True))
        if c != NO_CLASS and has_window[c]
    }
    foes: dict[int, dict[int, int]] = {}
    for pair, ends in reversed(list(enumerate(zip(never.a.tolist(), never.b.tolist(), strict=True)))):
        for node, foe in (ends, ends[::-1]):
            foes.setdefault(node, {})[foe] = pair
    foes_of_node = dict(foes)
    refused: list[int] = []
    refused_cause: list[int] = []
    named: list[list[bool]] = [[], []]

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    def pairs_between(left: int, right: int) -> list[int]:
        if left not in foes or right not in foes:
            return []
        return [pair for foe, pair in foes[left].items() if find(foe) == right]

    def is_over(c: int, left: int, right: int) -> bool:
        if held[left][c] + held[right][c] <= limits[c]:
            return False
        if not has_window[c]:
            return True
        both = sorted(times[left][c] + times[right][c])
        return any(late - early < windows[c] for early, late in zip(both, both[limits[c] :], strict=False))

    for position, (end_a, end_b, always) in enumerate(zip(a.tolist(), b.tolist(), is_always.tolist(), strict=True)):
        left, right = find(end_a), find(end_b)
        if left == right:
            continue
        keeper, joiner = (left, right) if left < right else (right, left)
        mine, theirs = held[keeper], held[joiner]
        apart = pairs_between(keeper, joiner)
        causes = [len(limits) + pair for pair in apart]
        if not causes and not always:
            causes = [c for c in theirs if c in mine and is_over(c, keeper, joiner)]
        if causes:
            refused.append(position)
            refused_cause.append(min(causes))
            for side, end, group in ((named[0], end_a, right), (named[1], end_b, left)):
                side.append(any(find(foe) == group for foe in foes_of_node.get(end, ())))
            continue
        parent[joiner] = keeper
        for c, count in theirs.items():
            if c in mine and always:
                # Two that are one by decision count as one, from the earlier.
                if has_window[c]:
                    times[keeper][c] = [min(times[keeper][c][0], times[joiner][c][0])]
                continue
            mine[c] = mine.get(c, 0) + count
            if has_window[c]:
                of_both = times.setdefault(keeper, {})
                of_both[c] = sorted(of_both.get(c, []) + times[joiner][c])
        if joiner in foes:
            foes[keeper] = foes.get(keeper, {}) | foes[joiner]
    label = np.fromiter((find(node) for node in range(len(nodes))), dtype=np.int64, count=len(nodes))
    return (
        label,
        np.array(refused, dtype=np.int64),
        np.array(refused_cause, dtype=np.int64),
        np.array(named, dtype=np.bool_),
    )
