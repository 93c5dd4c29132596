"""What a night costs from files to timeline, beside DuckDB doing the least that is needed with the same files."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import duckdb

from tests.bench.apart import answer, measure

# Eight calls a visit, 40 seconds apart, and about six visits a person over ninety days, some before a log-in;
# one call in a hundred is delivered twice.
CALLS = """
copy (
    with calls as (
        select
            i,
            hash(i // 8) % ({count} // 50) as person,
            timestamp '2026-04-01' + to_seconds(hash(i // 8, 'at') % (89 * 86400) + 40 * (i % 8)) as happened_at,
            hash(i, 'kind') % 100 as kind
        from range({count}) as calls(i)
    )
    select
        'm' || if(i % 100 = 99, i - 1, i) as "messageId",
        'track' as type,
        md5('device ' || person) as "anonymousId",
        if(kind > 30 and i % 100 < 98, 'u' || person, null) as "userId",
        case
            when kind < 40 then 'Feature Used'
            when kind < 80 then 'Project Created'
            when kind < 85 then 'Trial Started'
            when kind < 90 then 'Checkout Started'
            when kind < 92 then 'Subscription Started'
            else 'Form Error'
        end as event,
        {{'plan': 'team', 'step': 'step ' || kind, 'feature': 'feature ' || kind}} as properties,
        {{
            'ip': '10.' || kind || '.' || person % 250 || '.7',
            'userAgent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/1' || kind || '.0 Safari/537.36',
            'locale': 'en-US',
            'page': {{
                'url': 'https://app.lumen.example/' || kind || '?utm_source=google',
                'referrer': if(kind < 20, 'https://www.google.com/', null),
                'path': '/' || kind,
                'title': 'Lumen'
            }},
            'campaign': {{'source': if(kind < 10, 'google', null), 'medium': if(kind < 10, 'cpc', null)}},
            'library': {{'name': 'analytics.js', 'version': '2.11.1'}}
        }} as context,
        strftime(happened_at, '%Y-%m-%dT%H:%M:%S.%gZ') as "originalTimestamp",
        strftime(happened_at, '%Y-%m-%dT%H:%M:%S.%gZ') as "sentAt",
        strftime(happened_at + to_seconds(1), '%Y-%m-%dT%H:%M:%S.%gZ') as "receivedAt"
    from calls
    order by happened_at
) to '{path}' (format json)
"""

FLOOR = """
create table timeline as
select * from (
    select
        "messageId" as event_key,
        coalesce("userId", "anonymousId") as person,
        "originalTimestamp"::timestamptz as happened_at,
        *
    from read_json(
        '{files}',
        format = 'newline_delimited',
        columns = {{
            "messageId": 'varchar', "anonymousId": 'varchar', "userId": 'varchar', event: 'varchar',
            properties: 'json', "originalTimestamp": 'varchar', "sentAt": 'varchar', "receivedAt": 'varchar',
            context: 'struct(ip varchar, "userAgent" varchar, locale varchar,
                page struct(url varchar, referrer varchar), campaign struct(source varchar, medium varchar))'
        }}
    )
    qualify row_number() over (partition by "messageId" order by "receivedAt") = 1
)
order by person, happened_at
"""


def _floor(folder: Path) -> dict[str, float]:
    started = time.perf_counter()
    with duckdb.connect(str(folder / f"floor-{time.time_ns()}.duckdb")) as connection:
        connection.execute(FLOOR.format(files=folder / "inbox" / "segment" / "tracks" / "*.jsonl"))
        connection.execute("checkpoint")
    return {"all": time.perf_counter() - started}


def _night(folder: Path) -> dict[str, float]:
    """Seconds of one night from files to timeline, stage by stage; checks and what comes after left out."""
    from dagster_project.defs.transform import staging_and_links, timeline_and_journeys
    from dagster_project.identity.levels import update_levels
    from dagster_project.identity.update import update_identity
    from dagster_project.landing.contracts import load_contracts
    from dagster_project.landing.landing import land_table, open_landing, prepare
    from dagster_project.night import complete_night, current_night
    from dagster_project.settings import load_settings
    from dagster_project.timeline import score_new_messages
    from dagster_project.transform import build

    settings = load_settings({"THROUGHLINE_DATA": str(folder / "data"), "THROUGHLINE_INBOX": str(folder / "inbox")})
    seconds: dict[str, float] = {}
    started = time.perf_counter()

    def stage(name: str) -> None:
        nonlocal started
        seconds[name], started = time.perf_counter() - started, time.perf_counter()

    contracts = load_contracts()
    prepare(settings, contracts)
    for contract in contracts:
        land_table(settings, contract)
    stage("landing")
    night = current_night(settings, run_id=f"bench {time.time_ns()}")
    unique_ids = [spec.metadata["dagster_dbt/unique_id"] for spec in staging_and_links.specs]
    failed = [result for result in build(settings, night=night, nodes=unique_ids) if not result.is_built]
    stage("staging and links")
    with open_landing(settings) as connection:
        update_identity(connection, as_of=night.as_of, timezone=settings.timezone)
        score_new_messages(connection, as_of=night.as_of)
        update_levels(connection, contracts=contracts, as_of=night.as_of, timezone=settings.timezone)
    stage("identity")
    unique_ids = [
        spec.metadata["dagster_dbt/unique_id"]
        for spec in timeline_and_journeys.specs
        if spec.key.path[0] in ("timeline", "ops")
    ]
    failed += [result for result in build(settings, night=night, nodes=unique_ids) if not result.is_built]
    stage("timeline")
    assert not failed, failed
    complete_night(settings, night=night)
    return seconds


def _write(folder: Path, count: str) -> dict[str, float]:
    tracks = folder / "inbox" / "segment" / "tracks"
    tracks.mkdir(parents=True)
    duckdb.execute("set enable_progress_bar = false")
    duckdb.execute(CALLS.format(count=int(count), path=tracks / "2026-06-30.jsonl"))
    return {}


def bench(count: int = 1_000_000) -> list[dict[str, Any]]:
    """Floor, a first night with everything, the floor again, and a night with nothing new.

    Parameters
    ----------
    count : int
        Track calls in the files.

    Returns
    -------
    list of dict
        ``work, size, candidate, seconds, ratio_to_floor, peak_mb``.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure(__name__, "write", folder, str(count))
        before, peak_floor = measure(__name__, "floor", folder)
        full, peak_full = measure(__name__, "night", folder)
        after, _ = measure(__name__, "floor", folder)
        quiet, peak_quiet = measure(__name__, "night", folder)
    floor = (before["all"] + after["all"]) / 2
    rows = [("DuckDB alone", floor, peak_floor)]
    rows += [(f"night: {name}", seconds, peak_full) for name, seconds in full.items()]
    rows += [("night with nothing new", sum(quiet.values()), peak_quiet)]
    rows += [("night less the one with nothing new", sum(full.values()) - sum(quiet.values()), peak_full)]
    return [
        {
            "work": "files to timeline",
            "size": count,
            "candidate": candidate,
            "seconds": round(seconds, 2),
            "ratio_to_floor": round(seconds / floor, 2),
            "peak_mb": round(peak),
        }
        for candidate, seconds, peak in rows
    ]


if __name__ == "__main__":
    answer({"write": _write, "floor": _floor, "night": _night})
