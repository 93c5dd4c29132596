"""The map of the journeys: a folder of files that a browser opens from the disk.

``index.html`` holds the page, its style and its script; each journey's numbers are a script of their own,
``data/<journey>.js``, that the page fetches when it is looked at, and ``plotly.min.js`` draws its charts. Nothing is
asked for outside the folder. Every number comes from the version's own DuckDB file: the same tables give the same
bytes, and a file that has not changed is the file of the version before.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version as installed_version
from importlib.resources import files
from pathlib import Path
from typing import Any

import duckdb
from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from dagster_project.failpoints import failpoint
from dagster_project.publishing.durable import NO_LINKS, sha256_of, sync_file, sync_folder, write_text
from dagster_project.publishing.versions import DICTIONARY_FILE

# Raised when the same tables should give other files though no file of `site/` changed.
SITE_METHOD = 1
INDEX_FILE, LIBRARY_FILE, DATA_FOLDER = "index.html", "plotly.min.js", "data"
# A year and the week that runs: what is older stays in the tables, and the page says so.
WEEKS_SHOWN = 53
# A phone on a slow line has a journey within a few seconds; what does not fit is left out, and the page says so.
JOURNEY_BYTES = 1_000_000
# Rows of touchpoints, flows and contacts in each slice that is cut by both week and segment, and in each margin:
# the first pair of limits that keeps the journey's file small is taken.
LIMITS = ((40, 60), (24, 48), (16, 40), (10, 32), (7, 24), (5, 16), (3, 10), (0, 8))
WHOLE_LIMIT = 400

_HERE = Path(__file__).parent / "site"
# Plotly adds two style elements, one empty and filled by rules, one for maps of the earth that nobody draws here.
_LIBRARY_STYLES = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=' 'sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o='"
)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Rows of one published table as the page reads them.

    Columns whose name starts with ``@`` hold words, written once and numbered. ``by`` is what the rows are split by:
    ``slice`` (week and segment), ``week``, or nothing. ``counts`` is summed over the rows left out.
    """

    name: str
    table: str
    columns: str
    order: str
    by: str = ""
    where: str = "true"
    counts: str = ""
    has_journey: bool = True

    @property
    def names(self) -> list[str]:
        return self.columns.split()


_RATES = "{0}_rate {0}_low {0}_high"
_PARTS = (
    _Part(
        name="stages",
        table="journey_stages",
        columns="stage_order @stage entered_count reached_count advanced_count lost_count open_count shared_rate "
        f"step_rate {_RATES.format('drop_off')} median_hours_from_previous median_hours_to_next "
        "median_hours_to_next_low median_hours_to_next_high satisfaction_score value_at_risk_amount "
        "@value_at_risk_currency lost_before_count rank_by_lost rank_by_step_rate @likely_reason",
        order="stage_order",
        by="slice",
    ),
    _Part(
        name="touchpoints",
        table="stage_touchpoints",
        columns=f"stage_order @touchpoint touch_count attempt_count closed_count {_RATES.format('conversion')} "
        f"{_RATES.format('drop_off_after')} friction_rate sentiment_score rating_score contact_rate",
        order="touch_count desc, stage_order, touchpoint",
        by="slice",
        counts="touch_count",
    ),
    _Part(
        name="flows",
        table="journey_transitions",
        columns="from_stage_order @from_step to_stage_order @to_step transition_count transition_rate median_hours",
        order="transition_count desc, from_stage_order, from_step, to_stage_order, to_step",
        where="level = 'map'",
        by="slice",
        counts="transition_count",
    ),
    _Part(
        name="contacts",
        table="stage_contacts",
        columns=f"stage_order @touchpoint @channel contact_count attempt_count {_RATES.format('contact')} "
        "median_hours_after sentiment_score",
        order="contact_count desc, stage_order, touchpoint, channel",
        # Of the stage as a whole by channel, of its touchpoints by all channels together.
        where="(touchpoint = 'all' or channel = 'all')",
        by="slice",
    ),
    _Part(
        name="effort",
        table="journey_effort",
        columns="@status attempt_count mean_steps steps_low steps_high mean_contacts mean_repeats mean_backtracks "
        "mean_friction median_hours_between_touches",
        order="status = 'all' desc, status",
        by="slice",
    ),
    _Part(
        name="friction",
        table="friction_points",
        columns="rank stage_order @stage @touchpoint @signal @cohort attempt_count lost_count expected_lost_count "
        "extra_lost_count extra_lost_low extra_lost_high value_at_risk_amount value_low value_high @value_currency "
        "q_value is_ranked @from_date @to_date @owner @evidence @likely_cause @recommendation expected_gain_amount "
        "@expected_gain_basis",
        order="rank nulls last, extra_lost_count desc, stage_order, touchpoint, signal, cohort",
        by="week",
        counts="extra_lost_count",
    ),
    _Part(
        name="health",
        table="journey_health_scores",
        columns="@week_start_date @segment health_score health_low health_high conversion_score sentiment_score "
        "engagement_score velocity_score entered_count baseline_score @status @reason",
        order="week_start_date, segment",
        where="channel = 'all'",
    ),
    _Part(
        name="survival",
        table="stage_survival",
        columns=f"stage_order @stage day survival_rate low high {_RATES.format('advanced')} {_RATES.format('lost')} "
        "at_risk_count",
        order="stage_order, day",
    ),
    _Part(
        name="first_day",
        table="first_day_actions",
        columns="@action done_count done_rate started_count converted_count early_converted_count customer_count "
        "conversion_rate conversion_rate_without lift lift_low lift_high q_value is_aha @warning",
        order="is_aha desc nulls last, done_count desc, action",
    ),
    _Part(
        name="paths",
        table="journey_paths",
        columns="@kind @pattern pattern_length attempt_count support_rate conversion_rate base_conversion_rate lift "
        "lift_low lift_high length_adjusted_lift q_value @verdict is_new_this_month is_unexpected @first_seen_date",
        order="""
            case verdict when 'converts more' then 1 when 'converts less' then 2 when 'too few' then 4 else 3 end,
            case when verdict = 'converts less' then lift_high else -lift_low end, attempt_count desc, kind, pattern
        """,
    ),
    _Part(
        name="what_ifs",
        table="journey_what_ifs",
        columns="@change @step conversion_before conversion_after difference difference_low difference_high "
        "is_offered @reason",
        order="is_offered desc nulls last, difference desc nulls last, change, step",
    ),
    _Part(
        name="states",
        table="journey_states",
        columns="model_order @state visit_count success_probability success_low success_high expected_steps "
        "observed_conversion_rate observed_low observed_high chain_conversion_rate is_reproduced",
        order="visit_count desc, model_order, state",
    ),
    _Part(
        name="next_steps",
        table="next_steps",
        columns="@step @next transition_count probability probability_low probability_high top_rank",
        order="transition_count desc, step, next",
        where="top_rank <= 3",
    ),
    _Part(
        name="abandonment",
        table="abandonment_types",
        columns=f"@abandonment_type @name @description attempt_count {_RATES.format('share')} @main_stage "
        "@main_touchpoint median_seconds @main_signal",
        order="attempt_count desc, abandonment_type",
    ),
    _Part(
        name="annotations",
        table="journey_annotations",
        columns="@annotation_id @stage @touchpoint @kind @text @author @said_on @problem",
        order="stage nulls first, touchpoint nulls first, said_on, annotation_id",
    ),
    _Part(
        name="support",
        table="support_outcomes",
        columns=f"@channel contact_count {_RATES.format('repeat')} first_contact_resolution_rate "
        f"first_contact_resolution_low first_contact_resolution_high {_RATES.format('reopen')} cost_amount "
        "@cost_currency",
        order="contact_count desc, channel",
        where="theme = 'all' and week = 'all'",
        has_journey=False,
    ),
)
# Of what is not split, the rows that the page has room for; those parts' left-out rows are counted, too.
_WHOLE_LIMITS = {"paths": 60, "first_day": 20, "what_ifs": 30, "states": 30, "next_steps": 90, "annotations": 60}
_WEEK_LIMITS = (20, 6)
_BY_LIMIT = ("touchpoints", "flows", "contacts")


def site_digest() -> str:
    """Digest of what the site is made of beside the published tables: its method, its files, its library."""
    parts = [str(SITE_METHOD), installed_version("plotly")]
    parts += [f"{path.name}:{sha256_of(path)}" for path in sorted(_HERE.iterdir()) if path.is_file()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def write_site(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    *,
    version_id: str,
    as_of: str,
    schema: str = "main",
    before: Mapping[str, Path] | None = None,
) -> list[Path]:
    """Write the site of a version.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On the version's own DuckDB file.
    folder : Path
        Where to; it is made.
    version_id : str
        The version.
    as_of : str
        Instant up to which evidence counted, ISO 8601 with its zone.
    schema : str
        Where the tables are.
    before : mapping, optional
        Whole files of the version before by their SHA-256: what is the same is linked.

    Returns
    -------
    list of Path
        All files written, relative to `folder`.
    """
    known = before or {}
    (folder / DATA_FOLDER).mkdir(parents=True)
    written = [_place_library(folder, known=known)]
    failpoint("publishing.site_library_placed")
    told = []
    for journey in _journeys(connection, schema=schema):
        name = Path(DATA_FOLDER) / f"{_file_name(journey)}.js"
        document = journey_document(connection, journey, schema=schema)
        _place_text(folder / name, _as_script(journey, document), known=known)
        failpoint("publishing.site_data_written")
        written.append(name)
        told.append(_told_journey(document, file=name.as_posix()))
    write_text(folder / INDEX_FILE, _render(told, version_id=version_id, as_of=as_of))
    failpoint("publishing.site_page_written")
    sync_folder(folder / DATA_FOLDER)
    sync_folder(folder)
    return [Path(INDEX_FILE), *written]


def journey_document(connection: duckdb.DuckDBPyConnection, journey: str, *, schema: str = "main") -> dict[str, Any]:
    """Read everything the page shows of one journey.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a database with published tables; one that is missing or empty leaves its part empty.
    journey : str
        Which.
    schema : str
        Where the tables are.

    Returns
    -------
    dict
        ``columns`` names the columns of each part, those of words with ``@``; ``parts[part][key]`` are rows in that
        order, words as positions in ``words``. The key of a part split by week and segment is ``<week>.<segment>``
        (positions in ``weeks`` and ``segments``, 0 is ``all``), of one split by week ``<week>``, else empty.
        ``left_out[part][key]`` is how many rows, and what they count together, are only in the table.
    """
    weeks, weeks_left_out = _weeks(connection, journey, schema=schema)
    segments = _segments(connection, journey, schema=schema)
    read = {
        part: _read(connection, part, journey=journey, schema=schema, weeks=weeks, segments=[s for s, _ in segments])
        for part in _PARTS
    }
    document: dict[str, Any] = {
        "journey": journey,
        **_definition(connection, journey, schema=schema),
        "weeks": weeks,
        "weeks_left_out": weeks_left_out,
        "segments": segments,
        "columns": {part.name: part.names for part in _PARTS},
        "published": [part.name for part in _PARTS if _columns(connection, part.table, schema=schema)],
    }
    for limits in LIMITS:
        document |= _cut(read, limits=limits)
        if len(_as_script(journey, document)) <= JOURNEY_BYTES:
            break
    return document


@dataclass(kw_only=True)
class _Slice:
    """The first rows of a part in one slice; how many there are in all, and what is counted up to each and in all."""

    rows: list[tuple[Any, ...]]
    counted: list[float]
    row_count: int
    whole: float


def _read(
    connection: duckdb.DuckDBPyConnection,
    part: _Part,
    *,
    journey: str,
    schema: str,
    weeks: list[str],
    segments: list[str],
) -> dict[str, _Slice]:
    """Read what a part has room for at most, by key."""
    known = _columns(connection, part.table, schema=schema)
    split = {"slice": ["week", "segment"], "week": ["week"]}.get(part.by, [])
    if not {*split, *(["journey"] if part.has_journey else [])} <= known.keys() or not known:
        return {}
    names = [name.removeprefix("@") for name in part.names]
    selected = ", ".join(f"{_as_plain(name, known.get(name))} as {name}" for name in names)
    condition = f"{part.where} and journey = ?" if part.has_journey else part.where
    cuts = " + ".join(f"({name} <> 'all')::integer" for name in split) or "0"
    limits = " ".join(f"when {cut} then {_limit(part, cuts=cut, limits=LIMITS[0])}" for cut in range(len(split) + 1))
    slots = ", ".join(f"{name} as _{name}" for name in split)
    # The order is told apart to the last row, so that the same tables give the same bytes.
    found = connection.execute(
        f"""
        with numbered as (
            select
                *,
                row_number() over (in_slice order by {part.order}) as _place,
                sum({part.counts or 0}) over (
                    in_slice order by {part.order} rows unbounded preceding
                )::double as _counted,
                count(*) over in_slice as _rows,
                sum({part.counts or 0}) over in_slice::double as _whole
            from {schema}.{part.table}
            where {condition}
            window in_slice as ({f"partition by {', '.join(split)}" if split else ""})
        )
        select {slots}{", " if slots else ""}{selected}, _counted, _rows, _whole
        from numbered
        where _place <= case {cuts} {limits} end
        order by {", ".join([*split, "_place"])}
        """,
        [journey] if part.has_journey else [],
    ).fetchall()
    places = {"week": {week: n for n, week in enumerate(weeks)}, "segment": {s: n for n, s in enumerate(segments)}}
    dated = len(split) + names.index("week_start_date") if "week_start_date" in names else None
    slices: dict[str, _Slice] = {}
    for row in found:
        where = [places[name].get(value) for name, value in zip(split, row, strict=False)]
        # Weeks that the page does not show.
        if None in where or (dated is not None and row[dated] not in places["week"]):
            continue
        *_, counted, row_count, whole = row
        key = ".".join(str(slot) for slot in where)
        told = slices.setdefault(key, _Slice(rows=[], counted=[], row_count=row_count, whole=whole or 0.0))
        told.rows.append(row[len(split) : -3])
        told.counted.append(counted or 0.0)
    if dated is not None:
        for told in slices.values():
            told.row_count = len(told.rows)
    return slices


def _cut(read: Mapping[_Part, Mapping[str, _Slice]], *, limits: tuple[int, int]) -> dict[str, Any]:
    """Keep of each slice what the limits allow, number the words, count what is left out."""
    vocabulary: dict[str, int] = {}
    parts: dict[str, dict[str, list[list[Any]]]] = {}
    left_out: dict[str, dict[str, list[Any]]] = {}
    for part, slices in read.items():
        words = [place for place, name in enumerate(part.names) if name.startswith("@")]
        parts[part.name] = {}
        for key, told in slices.items():
            cuts = sum(1 for slot in key.split(".") if slot not in ("", "0"))
            kept = [list(row) for row in told.rows[: _limit(part, cuts=cuts, limits=limits)]]
            for row in kept:
                for place in words:
                    if row[place] is not None:
                        row[place] = vocabulary.setdefault(row[place], len(vocabulary))
            parts[part.name][key] = kept
            if told.row_count > len(kept):
                counted = told.counted[len(kept) - 1] if kept else 0.0
                left_out.setdefault(part.name, {})[key] = [told.row_count - len(kept), round(told.whole - counted, 4)]
    return {"words": list(vocabulary), "parts": parts, "left_out": left_out}


def _limit(part: _Part, *, cuts: int, limits: tuple[int, int]) -> int:
    """How many rows a slice has room for; what is not cut at all has room for nearly everything."""
    if part.by == "week":
        return _WEEK_LIMITS[cuts]
    if part.name not in _BY_LIMIT:
        return _WHOLE_LIMITS.get(part.name, 20_000)
    return (WHOLE_LIMIT, limits[1], limits[0])[cuts]


def _journeys(connection: duckdb.DuckDBPyConnection, *, schema: str) -> list[str]:
    """Journeys in order of their names; without stages there is no map."""
    if not {"journey", "week", "segment"} <= _columns(connection, "journey_stages", schema=schema).keys():
        return []
    rows = connection.execute(f"select distinct journey from {schema}.journey_stages order by journey").fetchall()
    return [journey for (journey,) in rows]


def _weeks(connection: duckdb.DuckDBPyConnection, journey: str, *, schema: str) -> tuple[list[str], int]:
    """``all``, then the latest weeks first; and how many are left out."""
    rows = connection.execute(
        f"select distinct week from {schema}.journey_stages where journey = ? and week <> 'all' order by week desc",
        [journey],
    ).fetchall()
    weeks = [week for (week,) in rows]
    return ["all", *weeks[:WEEKS_SHOWN]], len(weeks[WEEKS_SHOWN:])


def _definition(connection: duckdb.DuckDBPyConnection, journey: str, *, schema: str) -> dict[str, Any]:
    """Read what a journey is called, whose it is, when an attempt at it is lost, what is wrong with its definition."""
    told: dict[str, Any] = dict.fromkeys(("title", "owner", "guard_rails", "window_days", "problem"))
    known = _columns(connection, "journey_definitions", schema=schema)
    if {"journey", *told} <= known.keys():
        rows = connection.execute(
            f"select {', '.join(told)} from {schema}.journey_definitions where journey = ?", [journey]
        ).fetchall()
        for row in rows:
            told = dict(zip(told, row, strict=True))
    return told | {"title": told["title"] or _humanised(journey)}


def _segments(connection: duckdb.DuckDBPyConnection, journey: str, *, schema: str) -> list[list[str]]:
    """``all`` and the segments of a journey with their names, those without one last."""
    names: dict[str, str] = {}
    if {"segment", "name"} <= _columns(connection, "customer_segments", schema=schema).keys():
        names = dict(connection.execute(f"select segment, name from {schema}.customer_segments").fetchall())
    rows = connection.execute(
        f"""
        select distinct segment from {schema}.journey_stages
        where journey = ? and segment <> 'all'
        order by segment = 'unassigned', length(segment), segment
        """,
        [journey],
    ).fetchall()
    return [["all", "Everybody"], *([segment, names.get(segment) or segment] for (segment,) in rows)]


def _columns(connection: duckdb.DuckDBPyConnection, table: str, *, schema: str) -> dict[str, str]:
    """Columns of a table with their types; none if there is no such table."""
    rows = connection.execute(
        "select column_name, data_type from duckdb_columns() "
        "where database_name = current_database() and schema_name = ? and table_name = ?",
        [schema, table],
    ).fetchall()
    return dict(rows)


def _as_plain(name: str, data_type: str | None) -> str:
    """Return the expression that reads a column as JSON can hold it; what is no number is nothing."""
    if data_type is None:
        return "null"
    if data_type in ("DOUBLE", "FLOAT"):
        return f"if(isfinite({name}), {name}, null)"
    if data_type.startswith("DECIMAL"):
        return f"{name}::double"
    return f"{name}::varchar" if data_type.startswith(("DATE", "TIMESTAMP", "ENUM")) else name


def _humanised(name: str) -> str:
    words = name.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def _file_name(journey: str) -> str:
    """Return a name that every file system takes and that no other journey has."""
    if re.fullmatch(r"[a-z0-9_]{1,60}", journey):
        return journey
    plain = re.sub(r"[^a-z0-9]+", "-", journey.lower()).strip("-")[:40]
    return f"{plain or 'journey'}-{hashlib.sha256(journey.encode()).hexdigest()[:8]}"


def _as_script(journey: str, document: Mapping[str, Any]) -> str:
    """Write a document as a script that hands it to the page; nothing in it can end a script element."""
    return (
        "globalThis.throughline ??= { journeys: new Map() };\n"
        f"globalThis.throughline.journeys.set({_as_json(journey)},\n{_as_json(document)}\n);\n"
    )


def _as_json(content: Any) -> str:
    text = json.dumps(content, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def _place_library(folder: Path, *, known: Mapping[str, Path]) -> Path:
    source = Path(str(files("plotly") / "package_data" / LIBRARY_FILE))
    target = folder / LIBRARY_FILE
    if not _link(target, sha256=sha256_of(source), known=known):
        shutil.copyfile(source, target)
        _close(target)
    return Path(LIBRARY_FILE)


def _place_text(path: Path, text: str, *, known: Mapping[str, Path]) -> None:
    if not _link(path, sha256=hashlib.sha256(text.encode()).hexdigest(), known=known):
        write_text(path, text)
        _close(path)


def _close(path: Path) -> None:
    """Later versions share this file by hard link, so nobody may write into it."""
    path.chmod(path.stat().st_mode & ~0o222)
    sync_file(path)


def _link(path: Path, *, sha256: str, known: Mapping[str, Path]) -> bool:
    """Hard-link a file of the version before that has this content, if there is one."""
    source = known.get(sha256)
    if source is None or not source.is_file() or sha256_of(source) != sha256:
        return False
    try:
        os.link(source, path)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return False
    return True


def _told_journey(document: Mapping[str, Any], *, file: str) -> dict[str, Any]:
    """What the list of journeys says of one: how many came, how many arrived, how it fares."""
    vocabulary, columns = document["words"], document["columns"]

    def rows(part: str) -> list[dict[str, Any]]:
        return [
            {
                name.removeprefix("@"): vocabulary[value] if name.startswith("@") and value is not None else value
                for name, value in zip(columns[part], row, strict=True)
            }
            for row in document["parts"][part].get("" if part == "health" else "0.0", [])
        ]

    stages = rows("stages")
    scored = [row for row in rows("health") if row["segment"] == "all" and row["health_score"] is not None]
    return {
        "journey": document["journey"],
        "title": document["title"],
        "short": _humanised(document["journey"]),
        "file": file,
        "entered": stages[0]["entered_count"] if stages else 0,
        "rate": stages[-1]["shared_rate"] if stages else None,
        "health": scored[-1]["health_score"] if scored else None,
        "status": scored[-1]["status"] if scored else None,
    }


def _render(journeys: list[dict[str, Any]], *, version_id: str, as_of: str) -> str:
    style, script = (Markup((_HERE / f"map.{kind}").read_text(encoding="utf-8")) for kind in ("css", "js"))
    return _template().render(
        journeys=journeys,
        version_id=version_id,
        as_of=f"{datetime.fromisoformat(as_of).astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        dictionary=f"../{DICTIONARY_FILE}",
        library=LIBRARY_FILE,
        style=style,
        style_hash=_hash(style),
        library_styles=Markup(_LIBRARY_STYLES),
        script=script,
        script_hash=_hash(script),
    )


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string((_HERE / "index.html.jinja").read_text(encoding="utf-8"))


def _hash(text: str) -> str:
    """Return the source expression by which a content security policy allows an inline style or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
