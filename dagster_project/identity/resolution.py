"""Who is who: from links to persons, strongest evidence first, within the limits of the rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dagster_project.identity.evidence import LINK_COLUMNS, Evidence, encode
from dagster_project.identity.graph import Resolved, components, resolve_links
from dagster_project.identity.rules import IdentifierRules

SHARED_DEVICE_REASON = "shared device"


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """Who is who.

    Attributes
    ----------
    identifiers : pyarrow.Table
        One row per identifier: ``identifier, identifier_type, person_id, component_id, is_shared_device,
        first_available_at``. ``person_id`` is null for identifiers that never identify a person (accounts,
        orders); a shared device is a person of its own, with nobody else's identifiers.
    persons : pyarrow.Table
        One row per person: ``person_id, anchor, component_id, first_available_at, identifier_count``.
    refused_links : pyarrow.Table
        One row per link that may join persons and did not: ``LINK_COLUMNS, reason``.
    """

    identifiers: pa.Table
    persons: pa.Table
    refused_links: pa.Table


def resolve(links: pa.Table, *, sightings: pa.Table, rules: IdentifierRules) -> Resolution:
    """Resolve links into persons; the result depends on the set of links alone.

    Links are taken strongest first: by the priority of their weaker identifier, confidence, first available,
    then the earlier known identifiers. A link is refused when the person it makes would exceed a limit. Shared
    devices (see `graph.resolve_links`) lose all their links. A person's id is minted from its anchor, the
    identifier that was available earliest, then the smallest token.

    Parameters
    ----------
    links : pyarrow.Table
        ``identifier_a, identifier_b, link_kind, confidence, first_available_at``, in any order.
    sightings : pyarrow.Table
        ``identifier, first_available_at``: every identifier once, also those without a link.
    rules : IdentifierRules
    """
    return resolve_evidence(encode(links, sightings=sightings, rules=rules))


def resolve_evidence(evidence: Evidence) -> Resolution:
    """Resolve evidence that is already coded; see `resolve`."""
    taken = evidence.person_links
    resolved = resolve_links(evidence.nodes, evidence.a[taken], evidence.b[taken])
    joined = evidence.joins_components
    component = components(len(evidence), evidence.a[joined], evidence.b[joined])
    component_ids = evidence.tokens.take(component)

    first_available_at = pa.array(evidence.first_available_at, pa.timestamp("us"))
    person_ids = evidence.person_ids(resolved.label)
    is_person = pa.array(evidence.is_person)
    identifiers = pa.table(
        {
            "identifier": evidence.tokens,
            "identifier_type": evidence.identifier_types,
            "person_id": pa.compute.if_else(is_person, person_ids, pa.scalar(None, pa.string())),
            "component_id": component_ids,
            "is_shared_device": pa.array(resolved.is_shared),
            "first_available_at": first_available_at,
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
    return Resolution(identifiers=identifiers, persons=persons, refused_links=_refused(evidence, resolved))


def limit_reason(evidence: Evidence, limited_class: int) -> str:
    """Say which limit stood in the way."""
    limit = evidence.nodes.limits[limited_class]
    return f"more than {limit} {evidence.limited_class_names[limited_class]} for one person"


def _refused(evidence: Evidence, resolved: Resolved) -> pa.Table:
    """List the links that did not join, with their reasons."""
    taken = evidence.person_links
    shared = taken[resolved.is_shared[evidence.a[taken]] | resolved.is_shared[evidence.b[taken]]]
    reasons = [limit_reason(evidence, limited_class) for limited_class in resolved.refused_class.tolist()]
    reasons += [SHARED_DEVICE_REASON] * len(shared)
    links = evidence.links.select(list(LINK_COLUMNS)).take(np.concatenate((taken[resolved.refused], shared)))
    return links.append_column("reason", pa.array(reasons, pa.string()))
