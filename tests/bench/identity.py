"""What resolution costs beside the bare connected components of the same links."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from dagster_project.identity.evidence import encode
from dagster_project.identity.graph import components, resolve_links
from dagster_project.identity.history import replay_evidence
from dagster_project.identity.resolution import resolve
from dagster_project.identity.update import update_identity
from tests.identity.families import LIMITS, rules, warehouse

DAYS = 365
LINKS_PER_PERSON = 4
SHARED_RATE = 0.01


def people(count: int, *, seed: int = 1) -> tuple[pa.Table, pa.Table]:
    """Links and sightings of people with a user id, an e-mail and three devices, over a year of nights.

    One in a hundred has another person's user id on a device, which breaks a limit.
    """
    draw = np.random.default_rng(seed)
    person = np.arange(count)
    names = {
        "user_id:app": person,
        "email": person,
        "device_id:web": np.arange(3 * count),
    }
    hexes = {kind: pa.array([f"{kind}:{n:032x}" for n in numbers.tolist()]) for kind, numbers in names.items()}
    ends_a = [hexes["email"], hexes["device_id:web"]]
    ends_b = [hexes["user_id:app"], hexes["user_id:app"].take(np.repeat(person, 3))]
    shared = draw.choice(count, size=int(count * SHARED_RATE), replace=False)
    ends_a.append(hexes["device_id:web"].take(3 * shared))
    ends_b.append(hexes["user_id:app"].take((shared + 1) % count))
    a, b = pa.concat_arrays(ends_a), pa.concat_arrays(ends_b)
    at = draw.integers(0, DAYS * 86_400, size=len(a)) * 1_000_000 + 1_735_689_600_000_000
    links = pa.table(
        {
            "identifier_a": a,
            "identifier_b": b,
            "link_kind": pa.repeat("deterministic", len(a)),
            "confidence": pa.repeat(1.0, len(a)),
            "first_available_at": pa.array(at, pa.timestamp("us")),
            "note": pa.nulls(len(a), pa.string()),
        }
    ).take(draw.permutation(len(a)))
    seen = pa.concat_tables(
        [
            links.select([end, "first_available_at"]).rename_columns(["identifier", "at"])
            for end in links.column_names[:2]
        ]
    )
    sightings = (
        seen.group_by("identifier").aggregate([("at", "min")]).rename_columns(["identifier", "first_available_at"])
    )
    return links, sightings.append_column("first_occurred_at", sightings["first_available_at"])


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def bench(people_count: int = 250_000) -> list[dict[str, Any]]:
    """Time the steps of identity over about four links a person.

    Returns
    -------
    list of dict
        ``work, size, candidate, seconds, ratio_to_floor, peak_mb``; the floor is
        ``scipy.sparse.csgraph.connected_components`` over the coded links.
    """
    links, sightings = people(people_count)
    rows: list[dict[str, Any]] = []

    def note(candidate: str, seconds: float) -> None:
        floor = rows[0]["seconds"] if rows else seconds
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append(
            {
                "work": "identity",
                "size": len(links),
                "candidate": candidate,
                "seconds": round(seconds, 3),
                "ratio_to_floor": round(seconds / floor, 1),
                "peak_mb": round(peak),
            }
        )

    coding, evidence = _timed(lambda: encode(links, sightings=sightings, rules=rules()))
    note("floor: connected components", _timed(lambda: components(len(evidence), evidence.a, evidence.b))[0])
    note("coded links within limits", _timed(lambda: resolve_links(evidence.nodes, evidence.a, evidence.b))[0])
    note("coding the tokens", coding)
    note("tokens to persons", _timed(lambda: resolve(links, sightings=sightings, rules=rules()))[0])
    note(f"history of {DAYS} days", _timed(lambda: replay_evidence(evidence, timezone="UTC"))[0])

    as_of = datetime(2026, 1, 1)
    with warehouse(LIMITS) as connection:
        newest = np.argsort(links["first_available_at"].to_numpy())[-len(links) // 100 :]
        before = np.setdiff1d(np.arange(len(links)), newest)
        connection.register("all_links", links)
        connection.register("older_links", links.take(before))
        connection.register("all_sightings", sightings)
        connection.execute("create or replace table identity.links as select *, 'web' as source from older_links")
        connection.execute("create or replace table identity.identifier_sightings as from all_sightings")

        def night() -> Any:
            return update_identity(connection, as_of=as_of, timezone="UTC")

        note("tables, first night", _timed(night)[0])
        connection.execute("create or replace table identity.links as select *, 'web' as source from all_links")
        note("tables, a night with 1 % new links", _timed(night)[0])
        note("tables, a night with nothing new", _timed(night)[0])
    return rows
