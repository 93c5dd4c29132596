"""Connected components under limits, over integer-coded identifiers.

Codes are dense and ordered: a smaller code is an identifier that was available earlier, so the smallest code
of a component is its anchor. Links come in order of strength. Whatever breaks no limit is one call of
``scipy.sparse.csgraph.connected_components``; only what is left is joined link by link.
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


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """What the limits need to know of each identifier.

    Attributes
    ----------
    limited_class : array of int, one per node
        Class (type and namespace) whose count is limited; ``NO_CLASS`` where there is no limit.
    limits : array of int, one per class
        How many of a class one person may hold.
    is_device : array of bool, one per node
    """

    limited_class: Codes
    limits: Codes
    is_device: Flags

    def __len__(self) -> int:
        return len(self.limited_class)

    def take(self, nodes: Codes) -> Nodes:
        """Return some of the nodes, coded anew in the order given."""
        return Nodes(limited_class=self.limited_class[nodes], limits=self.limits, is_device=self.is_device[nodes])


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """Who is one person.

    Attributes
    ----------
    label : array of int, one per node
        Smallest code of the node's person.
    shared_class : array of int, one per node
        For a shared device the class of which it has too many; ``NO_CLASS`` for every other node.
    refused : array of int
        Positions of the links that were refused by a limit (those of shared devices are not among them).
    refused_class : array of int, one per refused link
        The class whose limit the link would break.
    """

    label: Codes
    shared_class: Codes
    refused: Codes
    refused_class: Codes

    @property
    def is_shared(self) -> Flags:
        """Whether each node is a shared device."""
        is_shared: Flags = self.shared_class != NO_CLASS
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
    if not len(a):
        return np.arange(size)
    links = coo_matrix((np.ones(len(a), dtype=np.int8), (a, b)), shape=(size, size))
    count, component = connected_components(links, directed=False)
    smallest = np.empty(count, dtype=np.int64)
    # Of repeated indices the last assignment stays: descending codes leave the smallest.
    smallest[component[::-1]] = np.arange(size - 1, -1, -1)
    label: Codes = smallest[component]
    return label


def breaks_limit(label: Codes, nodes: Nodes) -> Flags:
    """Tell for each node whether its component holds more of some class than one person may."""
    broken = np.zeros(len(nodes), dtype=np.bool_)
    for limited_class, limit in enumerate(nodes.limits):
        held = np.bincount(label[nodes.limited_class == limited_class], minlength=len(nodes))
        broken |= held > limit
    broken_label: Flags = broken[label]
    return broken_label


def resolve_links(nodes: Nodes, a: Codes, b: Codes) -> Resolved:
    """Join nodes, strongest link first, while every limit holds.

    A device that was itself seen with more identifiers of a class than one person may hold is shared: its
    links are withdrawn. So is a device one of whose links is refused, and its component is joined again
    without it, until no device is refused anything. What came with a user whom the device was seen with says
    no more about the device than that user does: a telephone that was passed on makes no device a shared one.

    Parameters
    ----------
    nodes : Nodes
    a, b : array of int
        Ends of the links, strongest link first.
    """
    label = components(len(nodes), a, b)
    broken = breaks_limit(label, nodes)
    shared_class = np.full(len(nodes), NO_CLASS)
    if not broken.any():
        none = np.empty(0, dtype=np.int64)
        return Resolved(label=label, shared_class=shared_class, refused=none, refused_class=none)
    members = np.flatnonzero(broken)
    links = np.flatnonzero(broken[a])
    inner = _resolve_broken(nodes.take(members), np.searchsorted(members, a[links]), np.searchsorted(members, b[links]))
    label[members] = members[inner.label]
    shared_class[members] = inner.shared_class
    return Resolved(
        label=label, shared_class=shared_class, refused=links[inner.refused], refused_class=inner.refused_class
    )


def _resolve_broken(nodes: Nodes, a: Codes, b: Codes) -> Resolved:
    """Resolve components that break a limit."""
    label = np.arange(len(nodes))
    shared_class = _overcrowded_devices(nodes, a, b)
    refused: list[Codes] = []
    refused_class: list[Codes] = []
    explained, explained_class = _explained_sightings(nodes, a, b, is_shared=shared_class != NO_CLASS)
    pending = np.setdiff1d(np.arange(len(a)), explained, assume_unique=True)
    while len(pending):
        is_shared = shared_class != NO_CLASS
        pending = pending[~(is_shared[a[pending]] | is_shared[b[pending]])]
        members, ends = np.unique(np.concatenate((a[pending], b[pending])), return_inverse=True)
        inner_a, inner_b = ends[: len(pending)], ends[len(pending) :]
        group = components(len(members), inner_a, inner_b)
        broken = breaks_limit(group, nodes.take(members))
        label[members] = members[group]
        ordered = np.flatnonzero(broken[inner_a])
        joined, no, no_class = _join_in_order(nodes.take(members), inner_a[ordered], inner_b[ordered])
        label[members[broken]] = members[joined[broken]]
        no = ordered[no]

        is_again = np.zeros(len(members), dtype=np.bool_)  # by group: a device was found to be shared
        for end in (inner_a[no], inner_b[no]):
            device = nodes.is_device[members[end]]
            shared_class[members[end[device]]] = no_class[device]
            is_again[group[end[device]]] = True
        again = is_again[group]
        label[members[again]] = members[again]
        settled = ~again[inner_a[no]]
        refused.append(pending[no[settled]])
        refused_class.append(no_class[settled])
        pending = pending[again[inner_a]]
    is_shared = shared_class != NO_CLASS
    apart = label[a[explained]] != label[b[explained]]
    apart &= ~(is_shared[a[explained]] | is_shared[b[explained]])
    refused.append(explained[apart])
    refused_class.append(explained_class[apart])
    positions = np.concatenate(refused) if refused else np.empty(0, dtype=np.int64)
    classes = np.concatenate(refused_class) if refused else np.empty(0, dtype=np.int64)
    order = np.argsort(positions, kind="stable")
    return Resolved(label=label, shared_class=shared_class, refused=positions[order], refused_class=classes[order])


def _overcrowded_devices(nodes: Nodes, a: Codes, b: Codes) -> Codes:
    """For each device the first class of which it was itself seen with too many, else ``NO_CLASS``."""
    near, far = np.concatenate((a, b)), np.concatenate((b, a))
    counts = nodes.is_device[near] & (nodes.limited_class[far] != NO_CLASS)
    pairs = np.unique(near[counts] * len(nodes) + far[counts])
    near, far = pairs // len(nodes), pairs % len(nodes)
    # The device itself counts where devices are limited.
    width = len(nodes.limits)
    seen = near * width + nodes.limited_class[far]
    seen, count = np.unique(seen, return_counts=True)
    device, limited_class = seen // width, seen % width
    count = count + (nodes.limited_class[device] == limited_class)
    is_over = count > nodes.limits[limited_class]
    result = np.full(len(nodes), NO_CLASS)
    device, limited_class = device[is_over], limited_class[is_over]
    result[device[::-1]] = limited_class[::-1]  # the first class of each device stays
    return result


def _explained_sightings(nodes: Nodes, a: Codes, b: Codes, *, is_shared: Flags) -> tuple[Codes, Codes]:
    """Find links of a device that another of its links accounts for; return their positions, and by which class.

    Such a link leads to something that was also seen with an identifier of the device itself, one of a class of
    which the component holds too many. Whether that something belongs there is between those two.
    """
    group = components(len(nodes), a, b)
    is_over = np.zeros(len(nodes), dtype=np.bool_)
    for limited_class, limit in enumerate(nodes.limits):
        mine = nodes.limited_class == limited_class
        is_over[mine] = np.bincount(group[mine], minlength=len(nodes))[group[mine]] > limit
    near, far = np.concatenate((a, b)), np.concatenate((b, a))
    position = np.tile(np.arange(len(a)), 2)
    own = np.flatnonzero(nodes.is_device[near] & ~is_shared[near] & is_over[far])
    own = own[np.argsort(near[own], kind="stable")]
    other = np.flatnonzero(nodes.is_device[near] & ~is_shared[near] & ~is_over[far] & ~nodes.is_device[far])
    first = np.searchsorted(near[own], near[other])
    count = np.searchsorted(near[own], near[other], side="right") - first
    # Each other link beside each link of the same device to one of its own.
    row = np.repeat(np.arange(len(other)), count)
    beside = own[first[row] + np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)]
    ends = np.stack((far[other[row]], far[beside]))
    known = np.minimum(a, b) * len(nodes) + np.maximum(a, b)
    is_known = np.isin(ends.min(axis=0) * len(nodes) + ends.max(axis=0), known)
    explained, at = np.unique(position[other[row]][is_known], return_index=True)
    return explained, nodes.limited_class[far[beside][is_known][at]]


def _join_in_order(nodes: Nodes, a: Codes, b: Codes) -> tuple[Codes, Codes, Codes]:
    """Join link by link; return labels, positions of refused links, and the class that refused each."""
    parent = list(range(len(nodes)))
    held = [{int(c): 1} if c != NO_CLASS else {} for c in nodes.limited_class]
    limits = nodes.limits.tolist()
    refused: list[int] = []
    refused_class: list[int] = []

    def find(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for position, (left, right) in enumerate(zip(a.tolist(), b.tolist(), strict=True)):
        keeper, joiner = sorted((find(left), find(right)))
        if keeper == joiner:
            continue
        mine, theirs = held[keeper], held[joiner]
        over = [c for c, count in theirs.items() if c in mine and mine[c] + count > limits[c]]
        if over:
            refused.append(position)
            refused_class.append(min(over))
            continue
        parent[joiner] = keeper
        for limited_class, count in theirs.items():
            mine[limited_class] = mine.get(limited_class, 0) + count
    label = np.fromiter((find(node) for node in range(len(nodes))), dtype=np.int64, count=len(nodes))
    return label, np.array(refused, dtype=np.int64), np.array(refused_class, dtype=np.int64)
