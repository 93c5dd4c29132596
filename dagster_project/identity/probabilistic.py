"""Links that no row states: which profiles tell of one person, by Splink's model of their names, homes and birth dates.

The model is Fellegi and Sunter's (https://doi.org/10.1080/01621459.1969.10501049), trained by expectation maximisation
on the profiles themselves, so it needs no labels. Names are weighed by how frequent they are.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import yaml

from dagster_project.errors import ThroughlineError
from dagster_project.failpoints import failpoint
from dagster_project.landing.contracts import PROFILE_FIELDS
from dagster_project.settings import DBT_DIR

if TYPE_CHECKING:
    from splink import Linker, SettingsCreator
    from splink.comparison_library import CustomComparison
    from splink.internals.comparison_level_creator import ComparisonLevelCreator

METHOD = "1"
"""Raise it when the same profiles give other links than before."""

FIELDS = tuple(field for field in PROFILE_FIELDS if field != "full_name")
"""What a profile may say of a person, each readable text or null; a full name is taken apart."""

PROFILE_SCHEMA = pa.schema(
    [
        ("identifier", pa.string()),
        ("identifiers", pa.list_(pa.string())),
        ("unique_identifiers", pa.list_(pa.string())),
        ("source", pa.string()),
        *((name, pa.string()) for name in FIELDS),
        ("first_occurred_at", pa.timestamp("us")),
        ("last_occurred_at", pa.timestamp("us")),
        ("first_available_at", pa.timestamp("us")),
        ("seen_count", pa.int64()),
    ]
)
LINK_SCHEMA = pa.schema(
    [
        ("identifier_a", pa.string()),
        ("identifier_b", pa.string()),
        ("source", pa.string()),
        ("link_kind", pa.string()),
        ("confidence", pa.float64()),
        ("first_occurred_at", pa.timestamp("us")),
        ("last_occurred_at", pa.timestamp("us")),
        ("first_available_at", pa.timestamp("us")),
        ("seen_count", pa.int64()),
        ("match_weight", pa.float64()),
        ("tier", pa.string()),
    ]
)
WEIGHT_SCHEMA = pa.schema(
    [
        ("comparison", pa.string()),
        ("level_order", pa.int64()),
        ("level", pa.string()),
        ("m_probability", pa.float64()),
        ("u_probability", pa.float64()),
        ("match_weight", pa.float64()),
    ]
)

_TABLES = """
create schema if not exists identity;
create schema if not exists ops;
create table if not exists identity.probabilistic_links (
    identifier_a varchar, identifier_b varchar, source varchar, link_kind varchar, confidence double,
    first_occurred_at timestamp, last_occurred_at timestamp, first_available_at timestamp, seen_count bigint,
    match_weight double, tier varchar
);
create table if not exists ops.match_weights (
    comparison varchar, level_order bigint, level varchar, m_probability double, u_probability double,
    match_weight double
);
create table if not exists ops.linked_profiles (method varchar, profiles varchar, sentence varchar);
"""

# Pairs that agree on one of these are compared. Many narrow ones: on FEBRL three broad ones alone cost 3 % of F1.
_BLOCKS: tuple[tuple[str, ...], ...] = (
    ("given_name", "surname"),
    ("birth_date",),
    ("person_number",),
    ("phone",),
    ("postcode", "surname"),
    ("postcode", "given_name"),
    ("street", "house_number"),
    ("city", "surname"),
    ("city", "given_name"),
    ("city", "street_2"),
    ("city", "house_number"),
    ("postcode", "house_number"),
    ("substr(given_name, 1, 3)", "substr(surname, 1, 3)"),
)
_SWAPPED_NAMES = "l.given_name = r.surname and l.surname = r.given_name"
# A block that would compare more pairs than this, and more than so many per profile, is no help: a city of millions.
_PAIRS_PER_BLOCK, _PAIRS_PER_PROFILE = 2_000_000, 100
# Who agrees on these is one person as good as surely; as many as that again are missed by slips of the pen.
_SURE = (
    ("given_name", "surname", "birth_date"),
    ("given_name", "surname", "street", "house_number", "postcode"),
    ("given_name", "surname", "phone"),
    ("surname", "person_number"),
    ("birth_date", "postcode"),
)
_SURE_RECALL = 0.7
# A comparison cannot learn from a block that agrees on it. No block of homes alone: there families are most of the
# pairs, and would teach that a person's given name changes.
_TRAINING = (("birth_date",), ("given_name", "surname"), ("given_name", "postcode"))
_FEWEST_TRAINING_PAIRS = 20
# Random pairs that tell how often strangers agree.
_RANDOM_PAIRS, _SEED = 2_000_000, 1
# Weights to this many places are the same whatever the last bits of a sum; confidences to so few change little from
# night to night, so that few persons are resolved again.
_WEIGHT_DIGITS, _CONFIDENCE_DIGITS = 4, 4
# Words that are so much alike (Jaro-Winkler) may be one with a slip of the pen. Of given names that is not enough:
# Tara and Zara are 0.83 alike and may be sisters. Who was born on one day and is called quite differently is a twin.
_SIMILAR, _SAME_NAME, _GARBLED_NAME = 0.8, 0.88, 0.75
# How often one person's two profiles differ altogether, and how often at least they show anything that they can.
_OTHER_RATE, _RAREST_RATE = 0.05, 0.005


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """From which probability on a link is of which tier.

    Attributes
    ----------
    strong, probable : float
        0 to 1, ``probable`` the lower; below it there is no link.
    """

    strong: float
    probable: float

    @classmethod
    def of_project(cls, path: Path = DBT_DIR / "dbt_project.yml") -> Thresholds | None:
        """Read the variable ``probabilistic`` of the dbt project; None where it is off.

        Raises
        ------
        ThroughlineError
            If it is neither off nor two probabilities in order.
        """
        given: Any = (yaml.safe_load(path.read_text(encoding="utf-8")).get("vars") or {}).get("probabilistic")
        if given is False:
            return None
        try:
            found = cls(strong=float(given["strong"]), probable=float(given["probable"]))
        except (TypeError, KeyError, ValueError):
            found = cls(strong=0, probable=0)
        if not 0.5 <= found.probable <= found.strong < 1:
            raise ThroughlineError(
                f"The variable probabilistic in {path} is '{given}'; give it strong and probable as probabilities "
                "from 0.5 to below 1, such as {strong: 0.99, probable: 0.9}, or off."
            )
        return found


@dataclass(frozen=True, kw_only=True)
class Probabilistic:
    """What the profiles say of who is who.

    Attributes
    ----------
    links : pyarrow.Table
        ``LINK_SCHEMA``, one row per pair of identifiers, in order of both.
    weights : pyarrow.Table
        ``WEIGHT_SCHEMA``, what agreement and disagreement count for, in bits; no row without a model.
    sentence : str
        What was done, or why nothing was.
    is_done : bool
        False if the comparison broke off, so that the same profiles may give links another time.
    """

    links: pa.Table
    weights: pa.Table
    sentence: str
    is_done: bool = True


def nothing(sentence: str, *, is_done: bool = True) -> Probabilistic:
    """No links, and why."""
    return Probabilistic(
        links=LINK_SCHEMA.empty_table(), weights=WEIGHT_SCHEMA.empty_table(), sentence=sentence, is_done=is_done
    )


def link_if_possible(
    profiles: pa.Table, *, thresholds: Thresholds | None, connection: duckdb.DuckDBPyConnection
) -> Probabilistic:
    """Find links as `link` does; without thresholds, or if the comparison breaks off, none, and say why.

    Links of an earlier night are no substitute: somebody may have withdrawn consent since.

    Parameters
    ----------
    profiles, thresholds, connection
        As for `link`.
    """
    if thresholds is None:
        return nothing("Profiles are not compared: the variable probabilistic in dbt/dbt_project.yml is off.")
    try:
        return link(profiles, thresholds=thresholds, connection=connection)
    except Exception as error:  # Splink raises what it likes. Its words may hold values of the vault: only the kind.
        ran_out = any(isinstance(one, (duckdb.OutOfMemoryException, MemoryError)) for one in _causes(error))
        return nothing(
            (
                f"Comparing {profiles.num_rows:,} profiles needs more memory than there is, so there are no links by "
                "profile; give it more (THROUGHLINE_MEMORY_LIMIT), the next run tries again."
                if ran_out
                else f"Splink stopped with {type(error).__name__} while it compared {profiles.num_rows:,} profiles, so "
                "there are no links by profile; the next run tries again."
            ),
            is_done=False,
        )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def link(profiles: pa.Table, *, thresholds: Thresholds, connection: duckdb.DuckDBPyConnection) -> Probabilistic:
    """Find the pairs of profiles that tell of one person though they share no identifier.

    Two profiles with different identifiers of which a person has but one are never linked, nor are the members of a
    family: whose given names differ must have the same number, or the same birth date and names not quite apart.

    Parameters
    ----------
    profiles : pyarrow.Table
        ``PROFILE_SCHEMA``; ``identifier`` is the end of a link, ``unique_identifiers`` those of ``identifiers`` of
        which a person has one at most.
    thresholds : Thresholds
    connection : duckdb.DuckDBPyConnection
        In memory and for this alone: it is left with readable values in it. One thread and the order that is made
        here give the same weights to the last bit.

    Returns
    -------
    Probabilistic
        The same for the same profiles in any order.
    """
    try:
        import splink  # noqa: F401
    except ImportError:
        return nothing("Splink is not installed, so profiles are not compared; `make setup` installs it.")
    connection.register("profiles_given", profiles)
    connection.execute(_CLEANED)
    connection.unregister("profiles_given")
    cleaned = connection.sql("from cleaned order by unique_id").to_arrow_table()
    if cleaned.num_rows < 2:
        return nothing("There are not two profiles with a name and more to compare.")
    sure = [block for block in _SURE if _pairs(connection, block)]
    most = max(_PAIRS_PER_BLOCK, _PAIRS_PER_PROFILE * cleaned.num_rows)
    training = [block for block in _TRAINING if _FEWEST_TRAINING_PAIRS <= _pairs(connection, block) <= most]
    if not sure or not training:
        return nothing(
            f"{cleaned.num_rows:,} profiles hold nothing to train on: too few agree on a name, birth date or home."
        )
    blocks = [block for block in _BLOCKS if _pairs(connection, block) <= most]
    linker = _trained(connection, cleaned, blocks=blocks, sure=sure, training=training)
    if linker is None:
        return nothing(f"{cleaned.num_rows:,} profiles hold nothing to train on: no pair of them tells of one person.")
    # A little less than asked: what counts is the rounded weight.
    found = linker.inference.predict(threshold_match_weight=_bits(thresholds.probable) - 0.001)
    connection.execute(_LINKS.format(pairs=found.physical_name), _parameters(thresholds))
    links = connection.sql("from links order by identifier_a, identifier_b").to_arrow_table().cast(LINK_SCHEMA)
    strong = sum(tier == "strong" for tier in links["tier"].to_pylist())
    left_out = [" + ".join(block) for block in _BLOCKS if block not in blocks]
    return Probabilistic(
        links=links,
        weights=_weights(linker),
        sentence=f"{cleaned.num_rows:,} profiles compared: {strong:,} strong and {links.num_rows - strong:,} probable "
        "links between identifiers that no row has together."
        + (f" Not compared for being too common: who agrees on {', '.join(left_out)}." if left_out else ""),
    )


def said_before(connection: duckdb.DuckDBPyConnection, *, profiles: str, thresholds: Thresholds | None) -> str | None:
    """Return what was said when these very profiles were linked last; None if others were, or in another way.

    Parameters
    ----------
    connection : duckdb.DuckDBPyConnection
        On the warehouse, for writing: its tables are made.
    profiles : str
        Their digest.
    thresholds : Thresholds or None
        None where profiles are not to be compared.
    """
    connection.execute(_TABLES)
    found = connection.execute(
        "select sentence from ops.linked_profiles where method = ? and profiles = ?", [_method(thresholds), profiles]
    ).fetchall()
    return str(found[0][0]) if found else None


def write_links(
    connection: duckdb.DuckDBPyConnection, found: Probabilistic, *, profiles: str, thresholds: Thresholds | None
) -> None:
    """Replace ``identity.probabilistic_links`` and what the model weighs, all or nothing.

    Of a comparison that broke off the profiles are not remembered, so that the next night tries again.
    """
    connection.register("links_found", found.links)
    connection.register("weights_found", found.weights)
    connection.execute("begin")
    try:
        for table, rows in (("identity.probabilistic_links", "links_found"), ("ops.match_weights", "weights_found")):
            connection.execute(f"delete from {table}")
            connection.execute(f"insert into {table} by name select * from {rows}")
        connection.execute("delete from ops.linked_profiles")
        if found.is_done:
            connection.execute(
                "insert into ops.linked_profiles values (?, ?, ?)", [_method(thresholds), profiles, found.sentence]
            )
        failpoint("identity.before_probabilistic_commit")
        connection.execute("commit")
    except BaseException:
        connection.execute("rollback")
        raise
    finally:
        connection.unregister("links_found")
        connection.unregister("weights_found")


def _method(thresholds: Thresholds | None) -> str:
    """What decides the links besides the profiles."""
    if thresholds is None:
        return f"{METHOD}|off"
    try:
        installed = version("splink")
    except PackageNotFoundError:
        installed = "no splink"
    return f"{METHOD}|{installed}|{thresholds.strong}|{thresholds.probable}"


# One spelling for what people spell in many ways. A profile says something if it has a name and one thing more.
_CLEANED = r"""
create or replace macro plain(value) as
    nullif(trim(regexp_replace(strip_accents(lower(replace(value, 'ß', 'ss'))), '[^\p{L}\p{N}]+', ' ', 'g')), '');
create or replace macro joined(value) as nullif(replace(plain(value), ' ', ''), '');
create or replace table cleaned as
with plain_profiles as (
    select
        identifier, list_sort(identifiers) as identifiers, list_sort(unique_identifiers) as unique_identifiers, source,
        plain(given_name) as given_name,
        plain(surname) as surname,
        joined(birth_date) as birth_date,
        nullif(right(regexp_replace(phone, '[^0-9]', '', 'g'), 9), '') as phone,
        joined(person_number) as person_number,
        regexp_extract(joined(house_number), '\d+|.*') as house_number,
        plain(street) as street,
        plain(street_2) as street_2,
        plain(city) as city,
        joined(postcode) as postcode,
        first_occurred_at, last_occurred_at, first_available_at, seen_count
    from profiles_given
)
select
    row_number() over (order by {columns}) as unique_id,
    *,
    list_transform(unique_identifiers, lambda token: regexp_replace(token, ':[^:]*$', '')) as unique_classes
from plain_profiles
where
    coalesce(given_name, surname) is not null
    and coalesce(birth_date, person_number, street, postcode) is not null
""".replace("{columns}", ", ".join(PROFILE_SCHEMA.names))

_LINKS = """
create or replace table links as
with pairs as (
    select l.identifier as l_identifier, r.identifier as r_identifier, l.source as l_source, r.source as r_source,
        round(pairs.match_weight, $weight_digits) as match_weight,
        greatest(l.first_occurred_at, r.first_occurred_at) as first_occurred_at,
        greatest(l.last_occurred_at, r.last_occurred_at) as last_occurred_at,
        greatest(l.first_available_at, r.first_available_at) as first_available_at,
        least(l.seen_count, r.seen_count) as seen_count
    from {pairs} as pairs
    inner join cleaned as l on pairs.unique_id_l = l.unique_id
    inner join cleaned as r on pairs.unique_id_r = r.unique_id
    where
        not list_has_any(l.identifiers, r.identifiers)
        -- They have no token in common, so what both have one of at most is different.
        and not list_has_any(l.unique_classes, r.unique_classes)
        and (
            jaro_winkler_similarity(l.given_name, r.given_name) > $same_name
            or l.given_name = r.surname and l.surname = r.given_name
            or l.person_number = r.person_number
            -- Twins have other names than each other.
            or damerau_levenshtein(l.birth_date, r.birth_date) <= 1
            and coalesce(jaro_winkler_similarity(l.given_name, r.given_name), 1) > $garbled_name
        )
),
sided as (
    select least(l_identifier, r_identifier) as identifier_a, greatest(l_identifier, r_identifier) as identifier_b,
        case when l_source = r_source then l_source
            else least(l_source, r_source) || '+' || greatest(l_source, r_source) end as source,
        case when match_weight >= $strong_weight then 'strong' else 'probable' end as tier,
        pairs.* exclude (l_identifier, r_identifier, l_source, r_source)
    from pairs
    where match_weight >= $probable_weight and l_identifier <> r_identifier
),
-- A link is as sure as its best pair, and known since the first pair that is so sure.
best as (
    select *, max(match_weight) over pair as best_weight, max(tier) over pair as best_tier
    from sided
    window pair as (partition by identifier_a, identifier_b)
)
select identifier_a, identifier_b, first(source order by match_weight desc, source) as source,
    'probabilistic' as link_kind,
    round(1 - 1 / (1 + power(2, any_value(best_weight))), $confidence_digits) as confidence,
    min(first_occurred_at) as first_occurred_at,
    max(last_occurred_at) as last_occurred_at,
    min(first_available_at) as first_available_at,
    cast(sum(seen_count) as bigint) as seen_count,
    any_value(best_weight) as match_weight,
    any_value(best_tier) as tier
from best
where tier = best_tier
group by identifier_a, identifier_b
"""


def _parameters(thresholds: Thresholds) -> dict[str, float]:
    return {
        "weight_digits": _WEIGHT_DIGITS,
        "confidence_digits": _CONFIDENCE_DIGITS,
        "same_name": _SAME_NAME,
        "garbled_name": _GARBLED_NAME,
        "strong_weight": round(_bits(thresholds.strong), _WEIGHT_DIGITS),
        "probable_weight": round(_bits(thresholds.probable), _WEIGHT_DIGITS),
    }


def _bits(probability: float) -> float:
    return math.log2(probability / (1 - probability))


def _pairs(connection: duckdb.DuckDBPyConnection, block: Sequence[str]) -> int:
    """How many pairs of profiles agree on all of a block."""
    present = " and ".join(f"{expression} is not null" for expression in block)
    [(count,)] = connection.execute(
        "select coalesce(sum(size * (size - 1) // 2), 0) from "
        f"(select count(*) as size from cleaned where {present} group by {', '.join(block)})"
    ).fetchall()
    return int(count)


def _trained(
    connection: duckdb.DuckDBPyConnection,
    cleaned: pa.Table,
    *,
    blocks: Sequence[Sequence[str]],
    sure: Sequence[Sequence[str]],
    training: Sequence[Sequence[str]],
) -> Linker | None:
    """Return a trained linker, or None where no block of pairs could train it."""
    from splink import DuckDBAPI, Linker, block_on
    from splink.internals.exceptions import EMTrainingException

    frame = DuckDBAPI(connection).register(cleaned, dataset_display_name="profiles")
    linker = Linker(frame, _settings(blocks), log_level=logging.ERROR)
    trained = 0
    try:
        linker.training.estimate_probability_two_random_records_match(
            [block_on(*block) for block in sure], recall=_SURE_RECALL
        )
    except ValueError:  # nearly every pair is one person's: more of them agree than leaves room for those that do not
        return None
    # All of the sample: where it stops early depends on the order of profiles, and rates move from night to night.
    linker.training.estimate_u_using_random_sampling(
        max_pairs=_RANDOM_PAIRS, seed=_SEED, min_count_per_level=None, num_chunks=1
    )
    for block in training:
        try:
            linker.training.estimate_parameters_using_expectation_maximisation(block_on(*block))
            trained += 1
        except EMTrainingException:
            continue
        except ValueError as error:
            # Where all pairs of a block are alike, what none of them shows comes out as less than a number can hold.
            if "m_probability" not in str(error):
                raise
    return Linker(frame, _possible(linker), log_level=logging.ERROR) if trained else None


def _possible(linker: Linker) -> dict[str, Any]:
    """Return the model, with no level that one person could never show: a few profiles cannot teach that."""
    model: dict[str, Any] = linker.misc.save_model_to_json()
    for comparison in model["comparisons"]:
        for level in comparison["comparison_levels"]:
            if "m_probability" in level:
                level["m_probability"] = max(level["m_probability"], _RAREST_RATE)
    return model


def _settings(blocks: Sequence[Sequence[str]]) -> SettingsCreator:
    """The one configuration of a person. Its rates are where learning begins, and hold where nobody shows them."""
    from splink import SettingsCreator, block_on
    from splink.blocking_rule_library import CustomRule

    return SettingsCreator(
        link_type="dedupe_only",
        comparisons=[
            _text("given_name"),
            _text("surname"),
            _code("birth_date"),
            _code("phone"),
            _code("person_number"),
            _address(),
        ],
        blocking_rules_to_generate_predictions=[*(block_on(*block) for block in blocks), CustomRule(_SWAPPED_NAMES)],
        retain_matching_columns=False,
        linker_uid="throughline",
    )


def _text(column: str) -> CustomComparison:
    """A name: the rarer, the more its agreement counts."""
    import splink.comparison_level_library as levels
    import splink.comparison_library as library

    return library.CustomComparison(
        output_column_name=column,
        comparison_levels=[
            levels.NullLevel(column),
            levels.ExactMatchLevel(column, term_frequency_adjustments=True).configure(
                m_probability=0.85, label_for_charts="the same"
            ),
            levels.JaroWinklerLevel(column, 0.92).configure(m_probability=0.07, label_for_charts="nearly the same"),
            levels.JaroWinklerLevel(column, _SIMILAR).configure(m_probability=0.03, label_for_charts="alike"),
            _other(),
        ],
    )


def _code(column: str) -> CustomComparison:
    """A date or number, where one wrong key makes another one."""
    import splink.comparison_level_library as levels
    import splink.comparison_library as library

    return library.CustomComparison(
        output_column_name=column,
        comparison_levels=[
            levels.NullLevel(column),
            levels.ExactMatchLevel(column).configure(m_probability=0.9, label_for_charts="the same"),
            levels.DamerauLevenshteinLevel(column, 1).configure(m_probability=0.05, label_for_charts="one key off"),
            _other(),
        ],
    )


def _other() -> ComparisonLevelCreator:
    """Altogether different: how often one person's is so is not learned.

    Where profiles agree on a home, families outnumber those who are there twice, and would teach that one person has
    two given names; where all who agree are the same, it would come out as never, which no number can hold.
    """
    import splink.comparison_level_library as levels

    return levels.ElseLevel().configure(m_probability=_OTHER_RATE, fix_m_probability=True, label_for_charts="another")


_SAME = {
    "street": "(street_l = street_r)",
    "likely_street": f"(jaro_winkler_similarity(street_l, street_r) > {_SIMILAR})",
    "house": "(house_number_l = house_number_r)",
    # One key amiss, or two swapped, in a number that has as many.
    "likely_house": "(house_number_l = house_number_r or least(len(house_number_l), len(house_number_r)) > 1"
    " and damerau_levenshtein(house_number_l, house_number_r) <= 1)",
    "postcode": "(postcode_l = postcode_r)",
    "likely_postcode": "(damerau_levenshtein(postcode_l, postcode_r) <= 1)",
    "city": "(city_l = city_r)",
    "likely_city": "(jaro_winkler_similarity(city_l, city_r) > 0.9)",
}


def _address() -> CustomComparison:
    """A home, as one thing: street, house and town of one household agree together or not at all.

    Counted one by one they would outvote the given name, and make one person of a family.
    """
    import splink.comparison_level_library as levels
    import splink.comparison_library as library

    def level(label: str, rate: float, *conditions: str) -> ComparisonLevelCreator:
        condition = " or ".join(conditions).format_map(_SAME)
        return levels.CustomLevel(condition, label_for_charts=label).configure(m_probability=rate)

    return library.CustomComparison(
        output_column_name="address",
        comparison_levels=[
            levels.CustomLevel(
                "(street_l is null or street_r is null) and (postcode_l is null or postcode_r is null)"
                " and (city_l is null or city_r is null)",
                label_for_charts="not known",
            ).configure(is_null_level=True),
            level("same home", 0.7, "{street} and {house} and ({postcode} or {city})"),
            level(
                "same home but for slips",
                0.15,
                "{likely_street} and {likely_house} and ({likely_postcode} or {likely_city})",
                "{likely_street} and {likely_postcode}",
                "{house} and {postcode}",
            ),
            level(
                "near by",
                0.05,
                "{likely_street} and {likely_city}",
                "{likely_house} and {likely_city}",
                "{likely_street} and {likely_house}",
            ),
            level("same town", 0.05, "{postcode}", "{city}"),
            _other(),
        ],
    )


def _weights(linker: Linker) -> pa.Table:
    """What each level of each comparison counts for; a level that no pair showed is left out."""
    model: Mapping[str, Any] = linker.misc.save_model_to_json()
    rows = [
        {
            "comparison": comparison["output_column_name"],
            "level_order": order,
            "level": level["label_for_charts"],
            "m_probability": level["m_probability"],
            "u_probability": level["u_probability"],
            "match_weight": round(math.log2(level["m_probability"] / level["u_probability"]), _WEIGHT_DIGITS),
        }
        for comparison in model["comparisons"]
        for order, level in enumerate(comparison["comparison_levels"])
        if level.get("m_probability") and level.get("u_probability")
    ]
    return pa.Table.from_pylist(rows, schema=WEIGHT_SCHEMA)
