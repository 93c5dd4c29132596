"""What a published version says of journeys, identity, models, scores and segments, in lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import duckdb

WIDTH = 100
# Of the versions that are not the champion, the latest; a model trained every week has many.
VERSIONS_SHOWN = 3
_INDENT = 13
_SHOWN = (
    "model_version",
    "auc",
    "auc_low",
    "auc_high",
    "calibration_slope",
    "calibration_slope_low",
    "calibration_slope_high",
)

# Each column: its head, its width, how its cell is made from a row of `model_cards`.
_CARD_COLUMNS = {
    "propensity": (
        ("rows", 10, lambda card: _count(card["row_count"])),
        ("positives", 10, lambda card: _count(card["positive_count"])),
        ("AUC", 6, lambda card: _number(card["auc"])),
        ("95 %", 14, lambda card: _interval(card["auc_low"], card["auc_high"])),
        ("PR-AUC", 8, lambda card: _number(card["pr_auc"])),
        ("Brier", 7, lambda card: _number(card["brier"], digits=3)),
        ("slope", 7, lambda card: _number(card["calibration_slope"])),
        ("95 %", 14, lambda card: _interval(card["calibration_slope_low"], card["calibration_slope_high"])),
    ),
    "segments": (
        ("people", 10, lambda card: _count(card["row_count"])),
        ("segments", 11, lambda card: _count(card["segment_count"])),
        ("stability", 11, lambda card: _number(card["segment_stability"])),
    ),
}


def tell_cards(connection: duckdb.DuckDBPyConnection, *, is_all: bool = False) -> list[str]:
    """Tell every model with its versions: what they learned from, how well they do, what became of them.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a published DuckDB file.
    is_all : bool
        All versions, not only the champion and the latest.

    Returns
    -------
    list of str
        Lines; none where there is no model.
    """
    lines: list[str] = []
    for model, cards in _cards_by_model(connection).items():
        shown = [card for number, card in enumerate(cards) if is_all or card["is_champion"] or number < VERSIONS_SHOWN]
        columns = _CARD_COLUMNS["segments" if cards[0]["kind"] == "segments" else "propensity"]
        lines += ["", model] if lines else [model]
        lines.append(f"{'version':<13}{'trained':<11}" + _in_columns([head for head, _, _ in columns], columns))
        for card in shown:
            version = f"{card['model_version'] or '-'}{' champion' if card['is_champion'] else ''}"
            cells = _in_columns([tell(card) for _, _, tell in columns], columns)
            lines.append(f"{version:<13}{_day(card['trained_as_of']):<11}{cells}".rstrip())
            for sentence in (_details(card), card["decision"] or ""):
                told = sentence[:1].upper() + sentence[1:]
                lines += textwrap.wrap(told, WIDTH, initial_indent=" " * _INDENT, subsequent_indent=" " * _INDENT)
        if len(shown) < len(cards):
            left = len(cards) - len(shown)
            lines.append(
                f"{' ' * _INDENT}and {left} earlier {'version' if left == 1 else 'versions'} (--all shows them)"
            )
    return lines


def tell_models(
    connection: duckdb.DuckDBPyConnection, *, tonight: date, told: Mapping[str, str] | None = None
) -> list[str]:
    """Tell which version of each model scores, how good it is, and whose scores are of when.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a published DuckDB file.
    tonight : date
        The snapshot date of scores made tonight.
    told : mapping of str to str, optional
        By model, the sentence about its last training; shown where it did not end in the champion.

    Returns
    -------
    list of str
        Lines; none where there is nothing to tell.
    """
    notes = dict(told or {})
    scored = {
        target: (snapshot, people)
        for target, snapshot, people in _read(
            connection,
            "customer_scores",
            "select target, max(snapshot_date), count(*) from customer_scores group by target order by target",
        )
    }
    rows: list[tuple[str, dict[str, Any] | None, date | None, int | None]] = []
    for model, cards in _cards_by_model(connection).items():
        if not cards[0]["is_champion"] and cards[0]["decision"]:
            notes.setdefault(model, str(cards[0]["decision"]))
        if cards[0]["kind"] != "segments":
            champion = next((card for card in cards if card["is_champion"]), None)
            rows.append((model, champion, *scored.pop(cards[0]["target"], (None, None))))
    # Scores whose model is gone still stand, with their date.
    rows += [(target, None, *of_target) for target, of_target in scored.items()]
    lines = []
    if rows:
        heads = f"{'AUC':>7}  {'95 %':<13}{'slope':>6}  {'95 %':<15}{'scores of':<11}{'people':>8}"
        lines.append(f"{'model':<28}{'version':>8}{heads}")
    for model, champion, snapshot, people in rows:
        card = champion or dict.fromkeys(_SHOWN)
        auc = _interval(card["auc_low"], card["auc_high"])
        slope = _interval(card["calibration_slope_low"], card["calibration_slope_high"])
        lines.append(
            f"{model:<28}{card['model_version'] or '-':>8}{_number(card['auc']):>7}  {auc:<13}"
            f"{_number(card['calibration_slope']):>6}  {slope:<15}{(snapshot or '-')!s:<11}{_count(people):>8}"
        )
        if snapshot and snapshot < tonight:
            notes[model] = f"not scored tonight, the scores of {snapshot} stay. {notes.get(model, '')}".strip()
    for model, sentence in notes.items():
        lines += textwrap.wrap(f"{model}: {sentence}", WIDTH, initial_indent="  ", subsequent_indent="    ")
    return lines


def tell_segments(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Tell the segments with how many customers are in each and which share of them has bought.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a published DuckDB file.

    Returns
    -------
    list of str
        Lines; none where there are no segments.
    """
    rows = _read(
        connection,
        "customer_segments",
        """
        select segment, name, customer_count, conversion_rate
        from customer_segments
        order by segment = 'unassigned', customer_count desc, segment
        """,
    )
    if not rows:
        return []
    lines = [f"{'segment':<12}{'name':<62}{'customers':>11}{'converted':>12}"]
    for segment, name, customers, rate in rows:
        converted = f"{rate:.1%}".replace("%", " %") if rate is not None else "-"
        title = textwrap.shorten(name or "", 60, placeholder=" …")
        lines.append(f"{segment:<12}{title:<62}{_count(customers):>11}{converted:>12}")
    return lines


def tell_journeys(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Tell how many set out on how many journeys, and how that ended or stands.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a published DuckDB file.

    Returns
    -------
    list of str
        Lines; none where nobody set out.
    """
    rows = _read(
        connection,
        "journey_attempts",
        """
        select
            count(*), count(distinct person_id), count(distinct journey), count(*) filter (status = 'converted'),
            count(*) filter (status = 'lost'), count(*) filter (status = 'open')
        from journey_attempts
        """,
    )
    lines = []
    for attempts, persons, journeys, converted, lost, still_open in rows:
        if attempts:
            told = (
                f"Journeys: {journeys:,} with {_many(attempts, 'attempt')} of {_many(persons, 'person')}: "
                f"{converted:,} converted, {lost:,} lost, {still_open:,} open."
            )
            lines += textwrap.wrap(told, WIDTH, subsequent_indent="  ")
    return lines


def _many(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def tell_friction(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Tell what costs most of all that is ranked, and the latest that one cohort alone carries.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a published DuckDB file.

    Returns
    -------
    list of str
        Lines; none where nothing is ranked.
    """
    rows = _read(
        connection,
        "friction_points",
        """
        select
            journey, signal, touchpoint, stage, cohort, week, from_date, extra_lost_count, extra_lost_low,
            extra_lost_high, value_at_risk_amount, value_currency, likely_cause
        from friction_points
        where is_ranked and (week = 'all' or cohort <> 'all')
        qualify
            row_number() over (
                partition by week = 'all'
                order by
                    case when week <> 'all' then week end desc, value_at_risk_amount desc nulls last,
                    extra_lost_count desc, journey
            ) = 1
        order by week = 'all' desc
        """,
    )
    lines = []
    for journey, signal, touchpoint, stage, cohort, week, since, extra, low, high, value, currency, cause in rows:
        worth = "" if value is None else f", {value:,.0f} {currency} at risk"
        whom = "" if cohort == "all" else f" for {cohort}"
        when = "all weeks" if week == "all" else f"week of {week}, since {since}"
        told = (
            f"Friction: {journey}, {signal} at {touchpoint} in {stage}{whom}, {when}: {extra:,.0f} "
            f"({low:,.0f} to {high:,.0f}) lost above what is expected{worth}; {cause}."
        )
        lines += textwrap.wrap(told, WIDTH, subsequent_indent="  ")
    return lines


_REASONS_SHOWN = 3
_KINDS_OF_CHANGE = {
    "merge": ("merge", "merges"),
    "split": ("split", "splits"),
    "move": ("move", "moves"),
    "new_shared_device": ("device newly shared", "devices newly shared"),
    "shared_device_ended": ("device no longer shared", "devices no longer shared"),
}


def tell_identity(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Tell who was taken to be whom, what was refused, what changed on the last day, and what hindsight adds.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On a published DuckDB file.

    Returns
    -------
    list of str
        Lines; none where there are no persons.
    """
    rows = _read(
        connection,
        "identity_quality",
        """
        select subject, measure, bucket, value, value_low, value_high
        from identity_quality
        where topic <> 'identifiers'
        order by bucket_order, value desc, bucket
        """,
    )
    found: dict[str, dict[str, float]] = {}
    for subject, measure, bucket, value, *_ in rows:
        if subject == "all" and value is not None:
            found.setdefault(measure, {})[bucket] = value
    if not found.get("persons", {}).get("all"):
        return []
    kinds, sizes = found["persons_by_kind"], found["identifiers_per_person"]
    bridges = found["bridges"]["all"]
    homes = sum(count for size, count in found["households_by_persons"].items() if size != "1")
    changes = [
        f"{count:,.0f} {_KINDS_OF_CHANGE[kind][count != 1]}"
        for kind, count in found["changes_of_the_day"].items()
        if count
    ]
    told = {
        "persons": f"{found['persons']['all']:,.0f}: {kinds['known']:,.0f} known and "
        f"{kinds['anonymous']:,.0f} anonymous; {sizes['mean']:.1f} identifiers each, {sizes['largest']:,.0f} at most",
        "levels": f"{homes:,.0f} households of two or more, {found['accounts']['all']:,.0f} accounts",
        "links": ", ".join(f"{count:,.0f} {kind}" for kind, count in found.get("links_by_kind", {}).items()) or "none",
        "refused": "; ".join(_most(found.get("refused_links_by_reason", {}))) or "none",
        "devices": f"{found['devices']['all']:,.0f}, of them {found['shared_devices']['all']:,.0f} shared",
        "bridges": f"{bridges:,.0f} {'link' if bridges == 1 else 'links'} without which a person would fall in two",
        "last day": ", ".join(changes) or "nobody merged or split",
    }
    lines = []
    for name, sentence in told.items():
        lines += textwrap.wrap(f"{name:<13}{sentence}", WIDTH, subsequent_indent=" " * _INDENT)
    return ["identity", *lines, *_tell_hindsight(rows)]


def _most(counts: Mapping[str, float]) -> list[str]:
    """The largest, and how many the others are."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    told = [f"{count:,.0f} {name}" for name, count in ordered[:_REASONS_SHOWN]]
    left = sum(count for _, count in ordered[_REASONS_SHOWN:])
    return [*told, f"{left:,.0f} for other reasons"] if left else told


def _tell_hindsight(rows: Sequence[tuple[Any, ...]]) -> list[str]:
    """Conversion of each journey on the three identities, side by side."""
    journeys: dict[str, dict[str, str]] = {}
    for journey, measure, identity, value, low, high in rows:
        if measure == "conversion_rate" and value is not None:
            told = f"{100 * value:>3.0f} % ({100 * low:.0f} to {100 * high:.0f})"
            journeys.setdefault(journey, {})[identity] = told
    if not journeys:
        return []
    identities = ("raw device", "as of", "fully stitched")
    lines = ["", f"{'converted':<28}" + "".join(f"{name:<21}" for name in identities).rstrip()]
    for journey, cells in sorted(journeys.items()):
        lines.append(f"{journey:<28}" + "".join(f"{cells.get(name, '  -'):<21}" for name in identities).rstrip())
    return lines


def _cards_by_model(connection: duckdb.DuckDBPyConnection) -> dict[str, list[dict[str, Any]]]:
    """Cards of each model, the latest version first; what has no version speaks of the last training."""
    rows = _read(
        connection,
        "model_cards",
        """
        select * exclude (version_id)
        from model_cards
        order by
            kind = 'segments', model, model_version is not null, try_cast(model_version as integer) desc nulls last,
            model_version desc
        """,
    )
    cards: dict[str, list[dict[str, Any]]] = {}
    names = [column[0] for column in connection.description or ()]
    for row in rows:
        card = dict(zip(names, row, strict=True))
        cards.setdefault(card["model"], []).append(card)
    return cards


def _read(connection: duckdb.DuckDBPyConnection, table: str, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query on a table; none where the version has no such table."""
    found = connection.execute("select 1 from duckdb_tables() where table_name = ?", [table]).fetchall()
    return connection.execute(query).fetchall() if found else []


def _details(card: Mapping[str, Any]) -> str:
    parts = [str(card["algorithm"] or "")]
    if card["threshold"] is not None:
        parts.append(
            f"at {_number(card['threshold'])} precision {_number(card['precision_at_threshold'])}, "
            f"recall {_number(card['recall_at_threshold'])}"
        )
    if card["drift_psi"] is not None:
        where = f" in {card['drift_feature']}" if card["drift_feature"] else ""
        parts.append(f"drift {_number(card['drift_psi'])}{where}")
    return "; ".join(part for part in parts if part)


def _in_columns(cells: Sequence[str], columns: Sequence[tuple[str, int, Any]]) -> str:
    """Numbers stand right, intervals left."""
    return "".join(
        f"  {cell:<{width - 2}}" if head == "95 %" else f"{cell:>{width}}"
        for cell, (head, width, _) in zip(cells, columns, strict=True)
    ).rstrip()


def _number(value: float | None, *, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.2f} to {high:.2f}"


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _day(instant: Any) -> str:
    return f"{instant:%Y-%m-%d}" if instant else "-"
