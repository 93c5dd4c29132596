"""Who is who: from links to persons, strongest evidence first, within the limits of the rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dagster_project.identity.evidence import DAY, LINK_COLUMNS, STRONG, Evidence, encode
from dagster_project.identity.graph import FOREVER, NO_CLASS, Codes, Resolved, components, resolve_links
from dagster_project.identity.rules import IdentifierRules

SHARED_DEVICE_REASON = "shared device"
TIERS = ("exact", STRONG, "probable")
"""How surely an identifier is its person's, surest first."""


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """Who is who.

    Attributes
    ----------
    identifiers : pyarrow.Table
        One row per identifier: ``identifier, identifier_type, person_id, component_id, is_shared_device,
        link_tier, first_available_at, first_occurred_at``. ``person_id`` and ``link_tier`` are null for identifiers
        that never identify a person (accounts, orders); a shared device is a person of its own, with nobody else's
        identifiers.
    persons : pyarrow.Table
        One row per person: ``person_id, anchor, component_id, first_available_at, identifier_count``.
    refused_links : pyarrow.Table
        One row per link that may join persons and did not: ``LINK_COLUMNS, reason``.
    hubs : pyarrow.Table
        One row per identifier that was seen with too many to link anybody: ``identifier, seen_with, of_class,
        since``.
    """

    identifiers: pa.Table
    persons: pa.Table
    refused_links: pa.Table
    hubs: pa.Table


def resolve(links: pa.Table, *, sightings: pa.Table, rules: IdentifierRules) -> Resolution:
    """Resolve links into persons; the result depends on the set of links alone.

    Links are taken strongest first: by kind (what somebody decided, what was seen, what is probable), the priority of
    their weaker identifier, confidence, first available, then the earlier known identifiers. A link is refused when
    the person it makes would exceed a limit, or hold two identifiers of which somebody decided that they are never
    one person. Shared devices and hubs (see `graph.resolve_links`) lose all their links. A person's id is minted from
    its anchor, the identifier that was available earliest, then the smallest token.

    Parameters
    ----------
    links : pyarrow.Table
        ``evidence.EVIDENCE_COLUMNS``, in any order.
    sightings : pyarrow.Table
        ``identifier, first_available_at, first_occurred_at``: every identifier once, also those without a link.
    rules : IdentifierRules
    """
    return resolve_evidence(encode(links, sightings=sightings, rules=rules))


def resolve_evidence(evidence: Evidence) -> Resolution:
    """Resolve evidence that is already coded; see `resolve`."""
    taken = evidence.person_links
    hub_class = np.full(len(evidence), NO_CLASS)
    hub_class[evidence.hubs.node] = evidence.hubs.limited_class
    resolved = resolve_links(
        evidence.nodes,
        evidence.a[taken],
        evidence.b[taken],
        is_always=evidence.is_always[taken],
        never=evidence.never,
        hub_class=hub_class,
    )
    joined = evidence.joins_components
    component = components(len(evidence), evidence.a[joined], evidence.b[joined])
    component_ids = evidence.tokens.take(component)

    first_available_at = pa.array(evidence.first_available_at, pa.timestamp("us"))
    person_ids = evidence.person_ids(resolved.label)
    is_person = pa.array(evidence.is_person)
    nothing = pa.scalar(None, pa.string())
    identifiers = pa.table(
        {
            "identifier": evidence.tokens,
            "identifier_type": evidence.identifier_types,
            "person_id": pc.if_else(is_person, person_ids, nothing),
            "component_id": component_ids,
            "is_shared_device": pa.array(resolved.is_shared),
            "link_tier": pc.if_else(is_person, pa.array(TIERS).take(_tiers(evidence, resolved)), nothing),
            "first_available_at": first_available_at,
            "first_occurred_at": pa.array(evidence.first_occurred_at, pa.timestamp("us")),
        }
    )
    anchors = np.flatnonzero((resolved.label == np.arange(len(evidence))) & evidence.is_person)
    held = np.bincount(resolved.label, minlength=len(evidence))
    persons = pa.table(
        {
            "person_id": person_ids.take(anchors),
            "anchor": evidence.tokens.take(anchors),
            "component_id": component_ids.take(anchors),
            "first_available_at": first_available_at.take(anchors),
            "identifier_count": pa.array(held[anchors], pa.int64()),
        }
    )
    hubs = pa.table(
        {
            "identifier": evidence.tokens.take(evidence.hubs.node),
            "seen_with": pa.array(evidence.hubs.seen_with),
            "of_class": pa.array(evidence.limited_class_names, pa.string()).take(evidence.hubs.limited_class),
            "since": pa.array(evidence.hubs.since, pa.timestamp("us")),
        }
    )
    return Resolution(identifiers=identifiers, persons=persons, refused_links=_refused(evidence, resolved), hubs=hubs)


def limit_reason(evidence: Evidence, cause: int) -> str:
    """Say which limit, or whose decision, stood in the way."""
    pair = cause - len(evidence.nodes.limits)
    if pair >= 0:
        return override_reason("never", evidence.never_reasons[pair])
    limit, window = evidence.nodes.limits[cause], int(evidence.nodes.windows[cause])
    within = "" if window == FOREVER else f" within {window // DAY} days"
    return f"more than {limit} {evidence.limited_class_names[cause]}{within} for one person"


def override_reason(verdict: str, reason: str | None) -> str:
    """Say that somebody decided, and why."""
    return f"an override says {verdict}: {reason}" if reason else f"an override says {verdict}"


def _tiers(evidence: Evidence, resolved: Resolved) -> Codes:
    """How surely each identifier is its person's, into ``TIERS``.

    A person's core is what holds its strongest identifier (priority, first available, token). What links that were
    seen or decided join to the core is exact, what strong links join to it as well is strong, the rest is probable.
    """
    taken = evidence.person_links
    a, b = evidence.a[taken], evidence.b[taken]
    inside = resolved.label[a] == resolved.label[b]
    probable, strong = evidence.is_probable[taken], evidence.is_strong[taken]
    tier = np.zeros(len(evidence), dtype=np.int64)
    hanging = np.flatnonzero(inside & probable)
    if not len(hanging):
        return tier
    # Only persons that hang together by a probabilistic link need a look.
    members = np.flatnonzero(np.isin(resolved.label, resolved.label[a[hanging]]))
    links = np.flatnonzero(inside & np.isin(resolved.label[a], resolved.label[a[hanging]]))
    a, b = np.searchsorted(members, a[links]), np.searchsorted(members, b[links])
    by_strength = np.lexsort((members, evidence.priority[members], resolved.label[members]))
    persons, person = np.unique(resolved.label[members], return_inverse=True)
    core = by_strength[np.searchsorted(resolved.label[members][by_strength], persons)][person]
    for weaker, kept in ((1, ~probable[links]), (2, ~probable[links] | strong[links])):
        group = components(len(members), a[kept], b[kept])
        tier[members[group != group[core]]] = weaker
    return tier


def _refused(evidence: Evidence, resolved: Resolved) -> pa.Table:
    """List the links that did not join, with their reasons."""
    taken = evidence.person_links
    a, b = evidence.a[taken], evidence.b[taken]
    of_shared = resolved.is_shared[a] | resolved.is_shared[b]
    of_shared[resolved.refused] = False
    hub = np.full(len(evidence), len(evidence.hubs))
    hub[evidence.hubs.node] = np.arange(len(evidence.hubs))
    hub_of = np.minimum(hub[a], hub[b])
    of_hub = (hub_of < len(evidence.hubs)) & ~of_shared & (resolved.label[a] != resolved.label[b])
    of_hub[resolved.refused] = False
    reasons = [limit_reason(evidence, cause) for cause in resolved.refused_cause.tolist()]
    reasons += [SHARED_DEVICE_REASON] * int(np.count_nonzero(of_shared))
    hub_reasons = [evidence.hub_reason(number) for number in range(len(evidence.hubs))]
    reasons += [hub_reasons[number] for number in hub_of[of_hub].tolist()]
    refused = np.concatenate((taken[resolved.refused], taken[of_shared], taken[of_hub]))
    links = evidence.links.select(list(LINK_COLUMNS)).take(refused)
    return links.append_column("reason", pa.array(reasons, pa.string()))
