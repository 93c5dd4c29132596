"""What landing costs beside DuckDB reading the same file and writing the same columns, typed."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from dagster_project.landing.contracts import TableContract, load_contracts
from dagster_project.landing.landing import land_table
from dagster_project.landing.parsing import quoted
from dagster_project.settings import load_settings
from tests.bench.apart import answer, measure

ROUNDS = 3

# Calls of a web app as Segment writes them: half of them by known users, one page in six reached through an ad.
TRACKS = """
copy (
    with calls as (
        select
            i,
            (hash(i, 'who') % ({count} // 20 + 1))::bigint as person,
            (hash(i, 'kind') % 12)::bigint as kind,
            hash(i, 'ad') % 6 = 0 as is_ad,
            timestamp '2026-03-01'
                + to_milliseconds(i * 7_000_000_000 // {count} + (hash(i) % 1000)::bigint) as happened_at
        from range({count}) as calls(i)
    )
    select
        'ajs-next-' || md5('call ' || i) as "messageId",
        'track' as type,
        uuid_like(md5('device ' || person)) as "anonymousId",
        if(person % 2 = 0, 'usr_' || (100000 + person), null) as "userId",
        ['Signed Up', 'Trial Started', 'Project Created', 'Teammate Invited', 'Feature Used', 'Checkout Started',
            'Subscription Started', 'Form Error', 'Feature Used', 'Feature Used', 'Feature Used', 'Project Created'
        ][kind + 1] as event,
        {{
            'ip': (1 + person % 220) || '.' || person % 250 || '.' || kind || '.' || i % 250,
            'userAgent': 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) '
                || 'Chrome/' || (110 + person % 30) || '.0.0.0 Safari/537.36',
            'locale': ['en-US', 'en-GB', 'de-DE', 'fr-FR'][1 + person % 4],
            'library': {{'name': 'analytics.js', 'version': 'next-1.64.0'}},
            'page': {{
                'path': '/projects/' || person % 900,
                'referrer': if(kind < 3, 'https://www.google.com/', 'https://app.lumen.example/home'),
                'search': if(is_ad, '?utm_source=google&utm_medium=cpc&gclid=' || md5('ad ' || i), ''),
                'title': 'Projects | Lumen',
                'url': 'https://app.lumen.example/projects/' || person % 900
                    || if(is_ad, '?utm_source=google&utm_medium=cpc&gclid=' || md5('ad ' || i), '')
            }},
            'campaign': if(is_ad, {{'source': 'google', 'medium': 'cpc', 'name': 'spring-' || kind}}, null)
        }} as context,
        {{
            'plan': ['starter', 'team', 'enterprise'][1 + person % 3],
            'feature': 'feature ' || kind,
            'step': 'step ' || i % 5,
            'revenue': if(kind = 6, (19 + i % 80) || '.90', null),
            'currency': if(kind = 6, 'USD', null)
        }} as properties,
        {{'All': true}} as integrations,
        strftime(happened_at, '%Y-%m-%dT%H:%M:%S.%gZ') as "originalTimestamp",
        strftime(happened_at, '%Y-%m-%dT%H:%M:%S.%gZ') as "timestamp",
        strftime(happened_at + interval 210 milliseconds, '%Y-%m-%dT%H:%M:%S.%gZ') as "sentAt",
        strftime(happened_at + interval 340 milliseconds, '%Y-%m-%dT%H:%M:%S.%gZ') as "receivedAt"
    from calls
    order by i
) to '{path}' (format json)
"""


def write_tracks(path: Path, *, count: int) -> None:
    """Write Segment track lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute("set enable_progress_bar = false")
        connection.execute(
            "create macro uuid_like(hexes) as concat_ws("
            "'-', hexes[:8], hexes[9:12], hexes[13:16], hexes[17:20], hexes[21:])"
        )
        connection.execute(TRACKS.format(count=count, path=path))


def _contract() -> TableContract:
    return next(c for c in load_contracts() if c.name == "segment__tracks")


def _struct(tree: dict[str, Any]) -> str:
    inner = ", ".join(f"{quoted(k)} {v if isinstance(v, str) else _struct(v)}" for k, v in tree.items())
    return f"struct({inner})"


def floor_query(contract: TableContract, path: Path) -> str:
    """The least: DuckDB's own JSON reader, the contract's columns and types, no token, no vault, no check."""
    tree: dict[str, Any] = {}
    for column in contract.columns:
        *parents, leaf = column.path.split(".")
        node = tree
        for key in parents:
            node = node.setdefault(key, {})
        node[leaf] = column.data_type
    columns = ", ".join(f"{quoted(k)}: '{v if isinstance(v, str) else _struct(v)}'" for k, v in tree.items())
    values = ", ".join(
        f"{'.'.join(quoted(key) for key in c.path.split('.'))} as {quoted(c.name)}" for c in contract.columns
    )
    source = f"read_json('{path}', format = 'newline_delimited', columns = {{{columns}}})"
    return f"create table tracks as select {values} from {source}"


def _write(folder: Path, count: str) -> dict[str, float]:
    write_tracks(folder / "inbox" / "segment" / "tracks" / "tracks.jsonl", count=int(count))
    return {}


def _floor(folder: Path, data: str) -> dict[str, float]:
    query = floor_query(_contract(), folder / "inbox" / "segment" / "tracks" / "tracks.jsonl")
    started = time.perf_counter()
    with duckdb.connect(str(Path(data) / "floor.duckdb")) as connection:
        connection.execute(query)
        connection.execute("checkpoint")
    return {"all": time.perf_counter() - started}


def _landing(folder: Path, data: str) -> dict[str, float]:
    contract = _contract()
    started = time.perf_counter()
    settings = load_settings({"THROUGHLINE_DATA": data, "THROUGHLINE_INBOX": str(folder / "inbox")})
    report = land_table(settings, contract, contracts=[contract])
    assert report.count("accepted") == report.count("rows_in") > 0, report
    assert report.drift == [], report.drift
    return {"all": time.perf_counter() - started}


def bench(count: int = 1_000_000) -> list[dict[str, Any]]:
    """Time floor and landing by turns, each in a process of its own; the best of each counts.

    Returns
    -------
    list of dict
        ``work, size, candidate, seconds, ratio_to_floor, peak_mb``.
    """
    best: dict[str, tuple[float, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure(__name__, "write", folder, count)
        for _ in range(ROUNDS):
            for work in ("floor", "landing"):
                with tempfile.TemporaryDirectory(dir=folder) as data:
                    seconds, peak = measure(__name__, work, folder, data)
                best[work] = min(best.get(work, (seconds["all"], peak)), (seconds["all"], peak))
    floor = best["floor"][0]
    return [
        {
            "work": "landing Segment tracks",
            "size": count,
            "candidate": {"floor": "floor: DuckDB reads and writes them typed", "landing": "land_table"}[work],
            "seconds": round(seconds, 3),
            "ratio_to_floor": round(seconds / floor, 1),
            "peak_mb": round(peak),
        }
        for work, (seconds, peak) in best.items()
    ]


if __name__ == "__main__":
    answer({"write": _write, "floor": _floor, "landing": _landing})
