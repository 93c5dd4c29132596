"""What resolution costs beside the bare connected components of the same links."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from dagster_project.identity.evidence import encode
from dagster_project.identity.graph import FOREVER, NO_CLASS, Codes, Nodes, components, resolve_links
from dagster_project.identity.history import replay_evidence
from dagster_project.identity.resolution import resolve
from dagster_project.identity.update import update_identity
from tests.identity.families import LIMITS, rules, warehouse

DAYS = 365
LINKS_PER_PERSON = 4
HUBS = LIMITS | {"email": LIMITS["email"]._replace(links=100)}
SHARED_RATE = 0.01
FLOOR = "floor: connected components"


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


def junk(rows: int, *, seed: int = 1) -> tuple[pa.Table, pa.Table]:
    """Links and sightings of customers of a user id and a device each, all of whom gave one and the same e-mail."""
    draw = np.random.default_rng(seed)
    users, devices = (pa.array([f"{kind}:{n:032x}" for n in range(rows)]) for kind in ("user_id:app", "device_id:web"))
    email = pa.repeat("email:junk", rows)
    at = draw.integers(0, DAYS * 86_400, size=rows) * 1_000_000 + 1_735_689_600_000_000
    links = pa.table(
        {
            "identifier_a": pa.concat_arrays([devices, devices, email]),
            "identifier_b": pa.concat_arrays([users, email, users]),
            "link_kind": pa.repeat("deterministic", 3 * rows),
            "confidence": pa.repeat(1.0, 3 * rows),
            "first_available_at": pa.array(np.tile(at, 3), pa.timestamp("us")),
            "note": pa.nulls(3 * rows, pa.string()),
        }
    )
    seen = pa.array(np.append(np.tile(at, 2), at.min()), pa.timestamp("us"))
    sightings = pa.table(
        {
            "identifier": pa.concat_arrays([users, devices, email[:1]]),
            "first_available_at": seen,
            "first_occurred_at": seen,
        }
    )
    return links, sightings


def coded(links: int, *, seed: int = 1) -> tuple[Nodes, Codes, Codes]:
    """The same people as codes: links in an order of their own, codes by first seen, that is anyhow."""
    draw = np.random.default_rng(seed)
    count = links // LINKS_PER_PERSON
    person = np.arange(count)
    # A user id, an e-mail and three devices each.
    users, emails, devices = person, count + person, 2 * count + np.arange(3 * count)
    shared = draw.choice(count, size=int(count * SHARED_RATE), replace=False)
    a = np.concatenate((emails, devices, devices[3 * shared]))
    b = np.concatenate((users, np.repeat(users, 3), users[(shared + 1) % count]))
    code = draw.permutation(5 * count)
    order = draw.permutation(len(a))
    limited_class = np.full(5 * count, NO_CLASS)
    limited_class[code[users]], limited_class[code[emails]] = 0, 1
    is_device = np.zeros(5 * count, dtype=np.bool_)
    is_device[code[devices]] = True
    nodes = Nodes(
        limited_class=limited_class,
        limits=np.array([1, 2]),
        windows=np.array([FOREVER, FOREVER]),
        seen_at=np.arange(5 * count),
        is_device=is_device,
    )
    return nodes, code[a][order], code[b][order]


def _bench_coded(links: int) -> list[tuple[str, int, float, float]]:
    """Time the floor and resolution over coded links; run it in a process of its own, for its memory."""
    nodes, a, b = coded(links)

    def floor() -> None:
        matrix = coo_matrix((np.ones(len(a), dtype=np.int8), (a, b)), shape=(len(nodes), len(nodes)))
        connected_components(matrix, directed=False)

    rows = []
    for name, work in (
        (FLOOR, floor),
        (
            "coded links, limits, 1 % of persons over one",
            lambda: resolve_links(nodes, a, b, is_always=np.zeros(len(a), dtype=np.bool_)),
        ),
    ):
        # The better of two: other work on the machine only ever adds.
        seconds = min(_timed(work)[0] for _ in range(2))
        rows.append((name, len(a), seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    return rows


def _bench_junk(rows: int) -> tuple[int, float, float]:
    """Links, seconds and megabytes of a first night in which a junk e-mail was not blocked."""
    links, sightings = junk(rows)
    with warehouse(HUBS) as connection:
        connection.register("given_links", links)
        connection.register("given_sightings", sightings)
        connection.execute(
            "create or replace table identity.links as select * exclude (note), 'web' as source from given_links; "
            "create or replace table identity.identifier_sightings as from given_sightings"
        )
        connection.unregister("given_links")
        connection.unregister("given_sightings")
        size = len(links)
        del links, sightings
        seconds, report = _timed(lambda: update_identity(connection, as_of=datetime(2026, 1, 1), timezone="UTC"))
    if report.persons != rows + 1:
        raise AssertionError(f"{report.persons:,} persons of {rows:,} customers and an e-mail")
    return size, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def bench(
    people_count: int = 250_000, *, coded_links: int = 10_000_000, junk_rows: int = 1_000_000
) -> list[dict[str, Any]]:
    """Time the steps of identity over about four links a person.

    Returns
    -------
    list of dict
        ``work, size, candidate, seconds, ratio_to_floor, peak_mb``; the floor of coded links and of what is made of
        them is ``scipy.sparse.csgraph.connected_components``, that of a night the first night, which does all.
    """
    rows: list[dict[str, Any]] = []

    def note(candidate: str, seconds: float, *, size: int, floor: float, peak: float | None = None) -> None:
        rows.append(
            {
                "work": "identity",
                "size": size,
                "candidate": candidate,
                "seconds": round(seconds, 3),
                "ratio_to_floor": round(seconds / floor, 3),
                "peak_mb": round(peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
            }
        )

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        measured = apart.submit(_bench_coded, coded_links).result()
    for candidate, size, seconds, peak in measured:
        note(candidate, seconds, size=size, floor=measured[0][2], peak=peak)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as apart:
        size, seconds, peak = apart.submit(_bench_junk, junk_rows).result()
    note("tables, first night, one junk e-mail on every row", seconds, size=size, floor=seconds, peak=peak)

    links, sightings = people(people_count)
    coding, evidence = _timed(lambda: encode(links, sightings=sightings, rules=rules()))
    floor, _ = _timed(lambda: components(len(evidence), evidence.a, evidence.b))
    note(FLOOR, floor, size=len(links), floor=floor)
    for candidate, seconds in (
        ("coding the tokens", coding),
        ("tokens to persons", _timed(lambda: resolve(links, sightings=sightings, rules=rules()))[0]),
        (f"history of {DAYS} days", _timed(lambda: replay_evidence(evidence, timezone="UTC"))[0]),
    ):
        note(candidate, seconds, size=len(links), floor=floor)
    as_of = datetime(2026, 1, 1)
    with warehouse(LIMITS) as connection:
        newest = np.argsort(links["first_available_at"].to_numpy())[-len(links) // 100 :]
        before = np.setdiff1d(np.arange(len(links)), newest)
        connection.register("all_links", links)
        connection.register("older_links", links.take(before))
        connection.register("all_sightings", sightings)
        given = "create or replace table identity.links as select * exclude (note), 'web' as source from"
        connection.execute(f"{given} older_links")
        connection.execute("create or replace table identity.identifier_sightings as from all_sightings")

        def night() -> Any:
            return update_identity(connection, as_of=as_of, timezone="UTC")

        whole, _ = _timed(night)
        note("tables, first night", whole, size=len(links), floor=whole)
        connection.execute(f"{given} all_links")
        for candidate in ("tables, a night with 1 % new links", "tables, a night with nothing new"):
            note(candidate, _timed(night)[0], size=len(links), floor=whole)
    return rows
