"""Predictions: models trained when they are due, people scored and sorted into segments every night.

What cannot be done tonight (too few conversions, a model that was tampered with) is told in one sentence, and what was
predicted before stays, with its date. The statistics are in ``ml/``; here they meet the warehouse.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa

from dagster_project.failpoints import failpoint
from dagster_project.night import Night
from dagster_project.settings import Settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ml.propensity import FeatureSchema
    from ml.registry import LoadedModel, ModelVersion, Registry

SEGMENTS = "segments"
# A model is trained anew after a week, or when people have moved this far from those it learned from: above 0.25 the
# population stability index is commonly read as another population.
RETRAIN_DAYS = 7
DRIFTED_FROM = 0.25
FEATURES_SHOWN = 15

TABLES = {
    "scores": """
        person_id varchar, target varchar, probability double, decile integer, reason_1 varchar, reason_2 varchar,
        reason_3 varchar, model_version varchar, snapshot_date date
    """,
    "segments": "segment varchar, name varchar, description varchar, model_version varchar",
    "segment_history": "person_id varchar, segment varchar, valid_from date, valid_to date",
    "model_versions": """
        model varchar, model_version varchar, kind varchar, target varchar, algorithm varchar, is_champion boolean,
        decision varchar, trained_as_of timestamp, training_from date, training_to date, holdout_from date,
        holdout_to date, row_count bigint, positive_count bigint, holdout_row_count bigint,
        holdout_positive_count bigint, auc double, auc_low double, auc_high double, pr_auc double, brier double,
        log_loss double, threshold double, precision_at_threshold double, recall_at_threshold double,
        calibration_slope double, calibration_slope_low double, calibration_slope_high double,
        calibration_intercept double, segment_count integer, segment_stability double, drift_psi double,
        drift_feature varchar, feature_count integer, data_version varchar, artifact_sha256 varchar
    """,
    "model_diagnostics": """
        model varchar, model_version varchar, measure varchar, bucket varchar, bucket_order integer, expected double,
        observed double, low double, high double, row_count bigint
    """,
}
# Of the runs and not of the people: when each model was last tried, and what the last predictions were made from.
_OPS = """
    create table if not exists ops.trainings (model varchar, tried_as_of timestamp, told varchar);
    create table if not exists ops.predicted_from (inputs varchar);
"""
# Which rows of a target: to learn from, to see whether people have moved, to score.
COMPLETE, LATELY, TONIGHT = "complete", "lately", "tonight"
_KEYS = ("snapshot_date", "person_id", "identifier", "component_id")
# What a model's card says of its rows.
_SPANS = (
    "training_from",
    "training_to",
    "holdout_from",
    "holdout_to",
    "row_count",
    "positive_count",
    "holdout_row_count",
    "holdout_positive_count",
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What became of one model tonight.

    Attributes
    ----------
    model : str
        A target of ``prediction_targets``, or ``segments``.
    is_fine : bool
        Whether nobody needs to look at it.
    sentence : str
        What happened.
    """

    model: str
    is_fine: bool
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a night did about models, scores and segments.

    Attributes
    ----------
    models, scores, segments : tuple of Told
        What became of training, scoring and sorting.
    is_unchanged : bool
        Whether everything was as last time, so that there was nothing to do.
    rows : mapping
        Rows of each table of the place, by name.
    """

    models: tuple[Told, ...]
    scores: tuple[Told, ...]
    segments: tuple[Told, ...]
    is_unchanged: bool
    rows: Mapping[str, int]


def prepare_tables(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the tables of schema ``predictions`` that are not there yet."""
    for name, columns in TABLES.items():
        connection.execute(f"create table if not exists predictions.{name} ({columns})")
    connection.execute(_OPS)


def predict_tonight(
    settings: Settings, connection: duckdb.DuckDBPyConnection, *, night: Night, is_forced: bool = False
) -> Report:
    """Train what is due, score everybody who is asked about, and sort people into segments.

    A model is due when there is none, when the last one was tried a week ago, when people have moved away from
    those it learned from, and when asked for. One that is better than its champion beyond noise takes its place;
    scores and segments come from champions alone. Where the evidence and the models are those of last time,
    nothing is done.

    Parameters
    ----------
    settings : Settings
        Where the models are kept.
    connection : duckdb.DuckDBPyConnection
        The warehouse, for writing.
    night : Night
        The run's frame.
    is_forced : bool
        Train whether due or not.
    """
    prepare_tables(connection)
    inputs = _inputs(settings, night=night)
    told: dict[str, list[Told]] = {"models": [], "scores": [], "segments": []}
    is_unchanged = not is_forced and connection.execute("select * from ops.predicted_from").fetchall() == [(inputs,)]
    if not is_unchanged:
        from ml.registry import Registry

        registry = Registry(database=settings.mlflow_path, artifacts=settings.models_path)
        connection.execute("delete from ops.predicted_from")
        targets = _targets(connection)
        trainings: dict[str, _Train] = {
            target.target: partial(_train_propensity, connection=connection, target=target, night=night)
            for target in targets
        }
        trainings[SEGMENTS] = partial(_train_segments, connection=connection, night=night)
        told["models"] = [
            _train_if_due(connection, registry, model=model, train=train, night=night, is_forced=is_forced)
            for model, train in trainings.items()
        ]
        told["scores"] = [_score(connection, registry, target=target) for target in targets]
        told["segments"] = [_sort_into_segments(connection, registry)]
        _forget_old_targets(connection, targets=targets)
        _list_models(connection, registry, targets=targets)
        # The file of the models was written to: what counts next time is how it is now.
        if all(one.is_fine for step in told.values() for one in step):
            connection.execute("insert into ops.predicted_from values (?)", [_inputs(settings, night=night)])
    rows = {name: connection.execute(f"select count(*) from predictions.{name}").fetchall()[0][0] for name in TABLES}
    return Report(
        models=tuple(told["models"]),
        scores=tuple(told["scores"]),
        segments=tuple(told["segments"]),
        is_unchanged=is_unchanged,
        rows=rows,
    )


def _inputs(settings: Settings, *, night: Night) -> str:
    """Name all that predictions are made from: the same name, the same predictions."""
    models = settings.mlflow_path.stat() if settings.mlflow_path.is_file() else None
    told = [
        *(night.as_of, night.loaded_until, night.project_hash, Path(__file__).read_bytes()),
        *(models and (models.st_mtime_ns, models.st_size), settings.models_path.is_dir()),
    ]
    return hashlib.sha256(repr(told).encode()).hexdigest()


# --- training -----------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Challenger:
    """A trained model, not yet registered, and whether it is to be champion."""

    estimator: Any
    algorithm: str
    columns: Mapping[str, str]
    metrics: Mapping[str, float]
    parameters: Mapping[str, Any]
    background: Mapping[str, Any]
    figures: Mapping[str, Figure]
    data_version: str
    is_better: bool
    decision: str


# Trains against a champion, or against none where there is none or it cannot be read.
_Train = Callable[["LoadedModel | None", "ModelVersion | None"], _Challenger]


def _train_if_due(
    connection: duckdb.DuckDBPyConnection,
    registry: Registry,
    *,
    model: str,
    train: _Train,
    night: Night,
    is_forced: bool,
) -> Told:
    """Train a model if it is due and promote it if it is better; what happened, in a sentence."""
    from ml.propensity import NotTrainable
    from ml.registry import RegistryError

    lost = ""
    try:
        champion = _champion(connection, registry, model)
        due = _why_due(connection, champion=champion, model=model, night=night, is_forced=is_forced)
        if champion and not due:
            stands = f"version {champion.version} stands, trained as of {champion.trained_as_of:%Y-%m-%d}"
            return Told(model=model, is_fine=True, sentence=f"{model}: {stands}.")
        if not due:
            return Told(model=model, is_fine=True, sentence=f"{model}: {_last_told(connection, model)}")
        loaded = registry.load(champion) if champion else None
    except RegistryError as error:
        if not is_forced:
            return Told(model=model, is_fine=False, sentence=f"{model}: {error}")
        champion, loaded, due = None, None, "somebody asked for it"
        lost = "it takes the place of one that cannot be used"
    try:
        challenger = train(loaded, champion)
        if lost:
            challenger = replace(challenger, decision=lost)
        version = _register(registry, challenger, model=model, night=night)
    except NotTrainable as error:
        stands = f" Version {champion.version} stands." if champion else ""
        told, is_fine = f"skipped. {error}{stands}", True
    except RegistryError as error:
        told, is_fine = str(error), False
    else:
        told, is_fine = f"version {version.version} was trained because {due}; {challenger.decision}.", True
    connection.execute("insert into ops.trainings values (?, ?, ?)", [model, night.as_of, told])
    return Told(model=model, is_fine=is_fine, sentence=f"{model}: {told}")


def _champion(connection: duckdb.DuckDBPyConnection, registry: Registry, model: str) -> ModelVersion | None:
    """The version that scores; None before the first was trained."""
    from ml.registry import RegistryError

    champion = registry.champion(model)
    if not champion and _last_tried(connection, model) and (versions := registry.versions(model)):
        raise RegistryError(
            f"None of the {len(versions)} versions of the model {model} has the alias champion: set it in the MLflow "
            "UI, or run the job retrain to train a new one."
        )
    return champion


def _why_due(
    connection: duckdb.DuckDBPyConnection,
    *,
    model: str,
    champion: ModelVersion | None,
    night: Night,
    is_forced: bool,
) -> str:
    """Say in a few words why a model is to be trained tonight; nothing if it is not."""
    if is_forced:
        return "somebody asked for it"
    tried = _last_tried(connection, model)
    if champion is None:
        if connection.execute(
            "select count(*) from predictions.model_versions where model = ?", [model]
        ).fetchall() != [(0,)]:
            return "the registry that held it is gone"
        return "" if tried and night.as_of < tried + timedelta(days=1) else "there was none yet"
    # A training that was interrupted before its end is no training: it is not in the list.
    last = max(champion.trained_as_of, tried or champion.trained_as_of)
    if night.as_of >= last + timedelta(days=RETRAIN_DAYS):
        return f"the last one was of {last:%Y-%m-%d}"
    moved = connection.execute(
        "select drift_feature, drift_psi from predictions.model_versions"
        " where model = ? and model_version = ? and drift_psi > ?",
        [model, champion.version, DRIFTED_FROM],
    ).fetchall()
    # Once for each champion: where what was learned since was no better, the week is waited for.
    if moved and last == champion.trained_as_of and night.as_of >= last + timedelta(days=1):
        return f"people moved away from those it knew ({moved[0][0]}: {moved[0][1]:.2f})"
    return ""


def _last_tried(connection: duckdb.DuckDBPyConnection, model: str) -> datetime | None:
    """As of when a model was last trained to the end, or was found not to be trainable."""
    rows = connection.execute("select max(tried_as_of) from ops.trainings where model = ?", [model]).fetchall()
    tried: datetime | None = rows[0][0]
    return tried


def _last_told(connection: duckdb.DuckDBPyConnection, model: str) -> str:
    rows = connection.execute(
        "select told from ops.trainings where model = ? order by tried_as_of desc limit 1", [model]
    ).fetchall()
    return str(rows[0][0]) if rows else "not trained yet."


def _register(registry: Registry, challenger: _Challenger, *, model: str, night: Night) -> ModelVersion:
    version = registry.register(
        model,
        challenger.estimator,
        algorithm=challenger.algorithm,
        columns=challenger.columns,
        metrics=challenger.metrics,
        parameters={
            **challenger.parameters,
            "decision": challenger.decision,
            "became_champion": challenger.is_better,
        },
        background=challenger.background,
        figures=challenger.figures,
        data_version=challenger.data_version,
        trained_as_of=night.as_of,
    )
    failpoint("predictions.registered")
    if challenger.is_better:
        registry.promote(version)
    return version


def _data_version(rows: pa.Table, *, night: Night) -> str:
    """Name the rows a model learned from: up to when they were known, and a digest of them."""
    digest = hashlib.sha256()
    with pa.BufferOutputStream() as sink:
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows.combine_chunks())
        digest.update(sink.getvalue())
    return f"{night.as_of:%Y-%m-%d} {digest.hexdigest()[:12]}"


# --- chances of what people will do -------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Target:
    """A line of the seed ``prediction_targets``."""

    target: str
    title: str
    horizon_days: int


def _targets(connection: duckdb.DuckDBPyConnection) -> list[_Target]:
    rows = connection.execute(
        "select target, title, horizon_days from staging.prediction_targets order by target"
    ).fetchall()
    return [_Target(target=target, title=title, horizon_days=days) for target, title, days in rows]


def _asked_about(
    connection: duckdb.DuckDBPyConnection, target: _Target, *, when: str
) -> tuple[pa.Table, FeatureSchema]:
    """The rows of a target with their features: whose label is complete, of the last four Mondays, or tonight's.

    Returns
    -------
    pyarrow.Table
        ``snapshot_date, person_id, identifier, label`` and the features, in an order of their own.
    FeatureSchema
        Which columns are features.
    """
    from ml.propensity import FeatureSchema

    relation = "current_customers" if when == TONIGHT else "customer_snapshots"
    columns = connection.execute(
        """
        select column_name, data_type from duckdb_columns()
        where database_name = current_database() and schema_name = 'features' and table_name = ?
        order by column_index
        """,
        [relation],
    ).fetchall()
    kinds = {name: "varchar" if kind == "VARCHAR" else "double" for name, kind in columns if name not in _KEYS}
    features = "".join(f", cast(people.{name} as {kind}) as {name}" for name, kind in kinds.items())
    wanted = {
        COMPLETE: "not asked.is_tonight and asked.is_label_complete",
        LATELY: "not asked.is_tonight and asked.snapshot_date > "
        "(select max(snapshot_date) - 28 from features.target_rows where not is_tonight)",
        TONIGHT: "asked.is_tonight",
    }[when]
    rows = connection.sql(
        f"""
        select
            asked.snapshot_date, asked.person_id, asked.identifier, asked.label,
            cast(asked.days_since_entry as double) as days_since_entry{features}
        from features.target_rows as asked
        inner join features.{relation} as people using (snapshot_date, person_id)
        where asked.target = ? and {wanted}
        order by asked.snapshot_date, asked.person_id
        """,
        params=[target.target],
    ).to_arrow_table()
    numeric = [name for name, kind in kinds.items() if kind == "double"]
    categorical = [name for name, kind in kinds.items() if kind == "varchar"]
    return rows, FeatureSchema(numeric=("days_since_entry", *numeric), categorical=tuple(categorical))


def _schema_of(version: ModelVersion) -> FeatureSchema:
    """The features a registered model reads."""
    from ml.propensity import FeatureSchema

    columns = version.columns
    return FeatureSchema(
        numeric=tuple(name for name, kind in columns.items() if kind != "string"),
        categorical=tuple(name for name, kind in columns.items() if kind == "string"),
    )


def _train_propensity(
    loaded: LoadedModel | None,
    champion: ModelVersion | None,
    *,
    connection: duckdb.DuckDBPyConnection,
    target: _Target,
    night: Night,
) -> _Challenger:
    """Train a target's model and compare it with the champion on the same hold-out."""
    from ml.evaluation import compare, fairness_table
    from ml.figures import draw_calibration, draw_importance
    from ml.propensity import SchemaChanged, predict, train

    rows, schema = _asked_about(connection, target, when=COMPLETE)
    trained = train(rows, schema=schema, horizon_days=target.horizon_days)
    held = _held_out(rows, trained.holdout)
    is_better, decision = True, "it is the first"
    if loaded and champion:
        try:
            before = predict(loaded.estimator, held, schema=_schema_of(champion))
        except SchemaChanged:
            decision = f"it takes the place of version {champion.version}, which reads other features"
        else:
            found = compare(
                held["label"].to_numpy(zero_copy_only=False),
                before,
                predict(trained.pipeline, held, schema=schema),
                held["person_id"],
            )
            is_better = found.is_better
            told = f"log loss less by {found.gain:.4f}, {found.low:.4f} to {found.high:.4f}"
            decision = (
                f"it takes the place of version {champion.version} ({told})"
                if is_better
                else f"version {champion.version} stays: the new one is not better beyond noise ({told})"
            )
    diagnostics = _diagnostics("calibration", trained.calibration)
    for group in schema.categorical:
        groups = fairness_table(
            trained.holdout["label"].to_numpy(zero_copy_only=False),
            trained.holdout["probability"].to_numpy(),
            held[group],
        )
        named = pa.array([f"{group}: {bucket}" for bucket in groups["bucket"].to_pylist()], pa.string())
        diagnostics += _diagnostics("fairness", groups.set_column(0, "bucket", named))
    weighty = trained.importance.slice(0, FEATURES_SHOWN)
    diagnostics += _diagnostics("importance", weighty.rename_columns(["bucket", "observed"]))
    return _Challenger(
        estimator=trained.pipeline,
        algorithm=trained.algorithm,
        columns={**dict.fromkeys(schema.numeric, "double"), **dict.fromkeys(schema.categorical, "string")},
        metrics=trained.metrics | {"threshold": trained.threshold},
        parameters={
            "kind": "propensity",
            "target": target.target,
            **{name: getattr(trained, name) for name in _SPANS},
        },
        background=trained.background | {"diagnostics": diagnostics},
        figures={"calibration": draw_calibration(trained), "importance": draw_importance(trained)},
        data_version=_data_version(rows, night=night),
        is_better=is_better,
        decision=decision,
    )


def _diagnostics(measure: str, table: pa.Table) -> list[dict[str, Any]]:
    """The rows of a table as those of ``predictions.model_diagnostics``; what is no number there is null here."""
    columns = {"bucket", "bucket_order", "expected", "observed", "low", "high", "row_count"}
    return [
        {"measure": measure, "bucket_order": place}
        | {
            key: None if isinstance(value, float) and not math.isfinite(value) else value
            for key, value in row.items()
            if key in columns
        }
        for place, row in enumerate(table.to_pylist(), start=1)
    ]


def _held_out(rows: pa.Table, holdout: pa.Table) -> pa.Table:
    """The rows of the hold-out with all their columns, in the hold-out's order."""
    keys = ["person_id", "snapshot_date"]
    place = holdout.select(keys).append_column("place", pa.array(range(holdout.num_rows), pa.int64()))
    return rows.join(place, keys, join_type="inner").sort_by("place").drop_columns("place").combine_chunks()


def _score(connection: duckdb.DuckDBPyConnection, registry: Registry, *, target: _Target) -> Told:
    """Score everybody who is asked about tonight; if that cannot be, the scores before stay."""
    from ml.propensity import SchemaChanged, predict, reasons
    from ml.registry import RegistryError

    model = target.target
    try:
        champion = _champion(connection, registry, model)
        if champion is None:
            stays = _what_stays(connection, model)
            told = "nobody is scored, there is no model yet." + (f" {stays}" if stays else "")
            return Told(model=model, is_fine=not stays, sentence=f"{model}: {told}")
        loaded, schema = registry.load(champion), _schema_of(champion)
        rows, now = _asked_about(connection, target, when=TONIGHT)
        features = rows.select([*now.names])
        probabilities = predict(loaded.estimator, features, schema=schema)
        worded = connection.execute(
            "select feature, words, coalesce(nullif(family, ''), feature) from staging.feature_words"
        )
        words, families = {}, {}
        for feature, text, family in worded.fetchall():
            words[feature], families[feature] = text, family
        why = reasons(
            loaded.estimator, features, schema=schema, background=loaded.background, words=words, families=families
        )
    except (RegistryError, SchemaChanged) as error:
        stays = _what_stays(connection, model) or "There are no scores before these."
        return Told(model=model, is_fine=False, sentence=f"{model}: {error} {stays}")
    scored = rows.select(["identifier", "person_id", "snapshot_date"]).append_column(
        "probability", pa.array(probabilities, pa.float64())
    )
    for place in range(3):
        said = [reason[place] if len(reason) > place else None for reason in why]
        scored = scored.append_column(f"reason_{place + 1}", pa.array(said, pa.string()))
    connection.register("scored", scored)
    connection.begin()
    connection.execute("delete from predictions.scores where target = ?", [model])
    # People as they are known today; of two who were found to be one, the likelier row stands.
    connection.execute(
        """
        insert into predictions.scores by name
        select
            person_id, $target as target, probability,
            cast(
                ceil(10.0 * row_number() over (order by probability, person_id) / count(*) over ()) as integer
            ) as decile,
            reason_1, reason_2, reason_3, $version as model_version, snapshot_date
        from
            (
                select scored.* exclude (person_id, identifier), identifiers.person_id
                from scored
                inner join identity.identifiers as identifiers using (identifier)
                where identifiers.person_id is not null
                qualify
                    row_number() over (partition by identifiers.person_id order by probability desc, identifier) = 1
            )
        """,
        {"target": model, "version": champion.version},
    )
    failpoint("predictions.scores_before_commit")
    connection.commit()
    connection.unregister("scored")
    return Told(
        model=model,
        is_fine=True,
        sentence=f"{model}: version {champion.version} scored {rows.num_rows:,} people.",
    )


def _what_stays(connection: duckdb.DuckDBPyConnection, target: str) -> str:
    ((count, day),) = connection.execute(
        "select count(*), max(snapshot_date) from predictions.scores where target = ?", [target]
    ).fetchall()
    return f"The {count:,} scores of {day} stay." if count else ""


def _forget_old_targets(connection: duckdb.DuckDBPyConnection, *, targets: Sequence[_Target]) -> None:
    connection.execute(
        "delete from predictions.scores where not list_contains(?, target)", [[target.target for target in targets]]
    )


# --- segments -----------------------------------------------------------------------------------


# What somebody had done by tonight; and at every Monday at which that had changed.
_TONIGHT = "select * from features.current_profiles"
_HISTORY = f"""
    select * from features.action_profiles
    where snapshot_date < (select coalesce(max(snapshot_date), date '9999-12-31') from features.current_profiles)
    union all by name {_TONIGHT}
"""
# So many people's snapshots are sorted at a time: memory stays flat.
_PROFILES_AT_A_TIME = 200_000
# One person in five is kept apart, the same ones in every training, so that no model is judged on whom it knows.
_HELD_OUT = "md5_number_lower(identifier) % 5 = 0"
# A model that does not know this share of what people do now cannot be compared with one that does.
_UNKNOWN_FROM = 0.05


def _profiles(connection: duckdb.DuckDBPyConnection, source: str, *, where: str = "true") -> pa.Table:
    """``person, block, action, count`` of people, by their identifier."""
    return connection.sql(
        f"select identifier as person, block, action, action_count as count from ({source}) where {where} order by all"
    ).to_arrow_table()


def _train_segments(
    loaded: LoadedModel | None,
    champion: ModelVersion | None,
    *,
    connection: duckdb.DuckDBPyConnection,
    night: Night,
) -> _Challenger:
    """Find segments, name them, let them keep the ids they had, and compare with the champion on people kept apart."""
    from ml import segments

    learned, held = (_profiles(connection, _TONIGHT, where=part) for part in (f"not ({_HELD_OUT})", _HELD_OUT))
    before = loaded.estimator if loaded else None
    unknown = segments.unknown_share(before, held) if before is not None else 0.0
    is_comparable = before is not None and unknown < _UNKNOWN_FROM
    fit = segments.fit(learned, vocabulary=before if is_comparable else None)
    everybody = _profiles(connection, _TONIGHT)
    is_better, decision = True, "it is the first"
    was, used = _sorted_before(connection)
    if loaded and champion:
        told_before = loaded.background["segments"]
        was = _with_ids(segments.assign(before, everybody), {row["number"]: row["segment"] for row in told_before})
        used = loaded.background["used"]
        if is_comparable:
            found = segments.compare(before, fit.estimator, held)
            is_better = found.is_better
            told = f"log likelihood of a person more by {found.gain:.3f}, {found.low:.3f} to {found.high:.3f}"
            decision = (
                f"it takes the place of version {champion.version} ({told})"
                if is_better
                else f"version {champion.version} stays: the new one is not better beyond noise ({told})"
            )
        else:
            decision = (
                f"it takes the place of version {champion.version}, which does not know {unknown:.0%} of what people do"
            )
    ids = segments.match(was, segments.assign(fit.estimator, everybody), used=used)
    described = segments.describe(fit.estimator, everybody)
    told = [
        {"number": number, "segment": ids[number], "name": name, "description": description}
        for number, (name, description) in enumerate(described)
    ]
    criteria = pa.table(
        {
            "bucket": fit.criteria["segment_count"].cast(pa.string()),
            "observed": fit.criteria["icl"],
            "expected": fit.criteria["stability"],
        }
    )
    return _Challenger(
        estimator=fit.estimator,
        algorithm="latent classes (Dirichlet-multinomial mixture)",
        columns=dict.fromkeys(
            [f"{block}: {action}" for block, action in zip(fit.estimator.blocks, fit.estimator.actions, strict=True)],
            "long",
        ),
        metrics={"segment_count": fit.segment_count, "segment_stability": fit.stability},
        parameters={"kind": "segments", "row_count": fit.person_count, "holdout_row_count": len(set(held["person"]))},
        background={
            "segments": told,
            "used": sorted({*used, *ids.values()}),
            "diagnostics": _diagnostics("segment_count", criteria),
        },
        figures={"segments": segments.draw_segments(fit.estimator, everybody, [row["name"] for row in told])},
        data_version=_data_version(learned, night=night),
        is_better=is_better,
        decision=decision,
    )


def _sorted_before(connection: duckdb.DuckDBPyConnection) -> tuple[pa.Table, list[str]]:
    """Where each identifier was sorted last, and all ids that were given: what is left where a model was lost."""
    was = connection.sql(
        """
        select identifiers.identifier as person, history.segment
        from predictions.segment_history as history
        inner join identity.identifiers as identifiers using (person_id)
        where history.valid_to is null
        """
    ).to_arrow_table()
    used = connection.execute(
        "select segment from predictions.segments union select segment from predictions.segment_history"
    ).fetchall()
    return was, [segment for (segment,) in used]


def _with_ids(assigned: pa.Table, ids: Mapping[int, str]) -> pa.Table:
    named = pa.array([ids[number] for number in assigned["segment"].to_pylist()], pa.string())
    return assigned.set_column(assigned.column_names.index("segment"), "segment", named)


def _sort_into_segments(connection: duckdb.DuckDBPyConnection, registry: Registry) -> Told:
    """Sort everybody by what they had done by each Monday and by tonight; if that cannot be, all stays as it was."""
    from ml import segments
    from ml.registry import RegistryError

    try:
        champion = _champion(connection, registry, SEGMENTS)
        if champion is None:
            rows = connection.execute("select count(*) from predictions.segment_history").fetchall()[0][0]
            stay = " People stay where they were sorted." if rows else ""
            told = f"segments: nobody is sorted, there is no model yet.{stay}"
            return Told(model=SEGMENTS, is_fine=not rows, sentence=told)
        loaded = registry.load(champion)
    except RegistryError as error:
        return Told(model=SEGMENTS, is_fine=False, sentence=f"segments: {error} People stay where they were sorted.")
    found = loaded.background["segments"]
    ids = {row["number"]: row["segment"] for row in found}
    connection.execute(
        f"""
        create or replace temp table profiles as
        select dense_rank() over (order by snapshot_date, person_id) as place, * from ({_HISTORY})
        """
    )
    ((last,),) = connection.execute("select coalesce(max(place), 0) from profiles").fetchall()
    connection.execute("create or replace temp table sorted_people (place bigint, segment varchar)")
    for first in range(0, last, _PROFILES_AT_A_TIME):
        part = connection.sql(
            f"""
            select cast(place as varchar) as person, block, action, action_count as count from profiles
            where place > {first} and place <= {first + _PROFILES_AT_A_TIME} order by place, block, action
            """
        ).to_arrow_table()
        connection.register("sorted_part", _with_ids(segments.assign(loaded.estimator, part), ids))
        connection.execute("insert into sorted_people select cast(person as bigint), segment from sorted_part")
        connection.unregister("sorted_part")
    connection.begin()
    connection.execute("delete from predictions.segments")
    connection.executemany(
        "insert into predictions.segments values (?, ?, ?, ?)",
        [(row["segment"], row["name"], row["description"], champion.version) for row in found],
    )
    # People as they are known today; where two were found to be one, the one who had done more speaks.
    connection.execute("delete from predictions.segment_history")
    connection.execute(
        """
        insert into predictions.segment_history by name
        with
            snapshots as (
                select place, snapshot_date, identifier, sum(action_count) as actions
                from profiles group by place, snapshot_date, identifier
            ),
            sorted as (
                select identifiers.person_id, snapshots.snapshot_date, sorted_people.segment
                from snapshots
                inner join sorted_people using (place)
                inner join identity.identifiers as identifiers using (identifier)
                where identifiers.person_id is not null
                qualify
                    row_number() over (
                        partition by identifiers.person_id, snapshots.snapshot_date
                        order by snapshots.actions desc, snapshots.identifier
                    ) = 1
            ),
            changes as (
                select *, lag(segment) over (partition by person_id order by snapshot_date) as segment_before
                from sorted
                qualify segment_before is distinct from segment
            )
        select
            person_id, segment, snapshot_date as valid_from,
            lead(snapshot_date) over (partition by person_id order by snapshot_date) as valid_to
        from changes
        """
    )
    failpoint("predictions.segments_before_commit")
    connection.commit()
    for table in ("profiles", "sorted_people"):
        connection.execute(f"drop table temp.{table}")
    people = connection.execute("select count(distinct person_id) from predictions.segment_history").fetchall()[0][0]
    return Told(
        model=SEGMENTS,
        is_fine=True,
        sentence=f"segments: version {champion.version} sorted {people:,} people into {len(found)} segments.",
    )


# --- what is said of the models -----------------------------------------------------------------

_FROM_METRICS = {
    "auc": "auc",
    "auc_low": "auc_low",
    "auc_high": "auc_high",
    "pr_auc": "pr_auc",
    "brier": "brier",
    "log_loss": "log_loss",
    "threshold": "threshold",
    "precision_at_threshold": "precision",
    "recall_at_threshold": "recall",
    "calibration_slope": "calibration_slope",
    "calibration_slope_low": "calibration_slope_low",
    "calibration_slope_high": "calibration_slope_high",
    "calibration_intercept": "calibration_intercept",
    "segment_count": "segment_count",
    "segment_stability": "segment_stability",
}


def _list_models(connection: duckdb.DuckDBPyConnection, registry: Registry, *, targets: Sequence[_Target]) -> None:
    """Write every version and what is to be seen of the champions; what cannot be read stays as it was."""
    from ml.registry import RegistryError

    kinds: dict[str, _Target | None] = {**{target.target: target for target in targets}, SEGMENTS: None}
    for model, target in kinds.items():
        try:
            versions = registry.versions(model)
            champion = next((version for version in versions if version.is_champion), None)
            loaded = registry.load(champion) if champion else None
        except RegistryError:
            continue
        moved: list[dict[str, Any]] = []
        if loaded and champion and target:
            moved = _moved(connection, loaded, champion=champion, target=target)
        cards = [_card(version, moved=moved if version.is_champion else []) for version in versions]
        diagnostics = (loaded.background["diagnostics"] + moved) if loaded else []
        version = champion.version if champion else None
        connection.begin()
        for table, rows in (("model_versions", cards), ("model_diagnostics", diagnostics)):
            connection.execute(f"delete from predictions.{table} where model = ?", [model])
            if rows:
                named = pa.Table.from_pylist([{"model": model, "model_version": version} | row for row in rows])
                connection.register("told", named)
                connection.execute(f"insert into predictions.{table} by name select * from told")
                connection.unregister("told")
        connection.commit()
    for table in ("model_versions", "model_diagnostics"):
        connection.execute(f"delete from predictions.{table} where not list_contains(?, model)", [list(kinds)])


def _card(version: ModelVersion, *, moved: list[dict[str, Any]]) -> dict[str, Any]:
    farthest = max(moved, key=lambda row: row["observed"], default=None)
    is_replaced = version.parameters.get("became_champion") == "True" and not version.is_champion
    return {
        "model_version": version.version,
        "kind": version.parameters["kind"],
        "target": version.parameters.get("target"),
        "algorithm": version.algorithm,
        "is_champion": version.is_champion,
        "decision": version.parameters["decision"] + ("; it was replaced since" if is_replaced else ""),
        "trained_as_of": version.trained_as_of,
        **{name: version.parameters.get(name) for name in _SPANS},
        **{name: version.metrics.get(metric) for name, metric in _FROM_METRICS.items()},
        "drift_psi": farthest["observed"] if farthest else None,
        "drift_feature": farthest["bucket"] if farthest else None,
        "feature_count": len(version.columns),
        "data_version": version.data_version,
        "artifact_sha256": version.sha256,
    }


def _moved(
    connection: duckdb.DuckDBPyConnection, loaded: LoadedModel, *, champion: ModelVersion, target: _Target
) -> list[dict[str, Any]]:
    """How far each feature, and what is foretold, has moved away from what the champion learned from."""
    from ml.propensity import SchemaChanged, drift, predict

    rows, _ = _asked_about(connection, target, when=LATELY)
    schema = _schema_of(champion)
    try:
        found = drift(
            loaded.background, rows, schema=schema, probabilities=predict(loaded.estimator, rows, schema=schema)
        )
    except SchemaChanged:
        return []
    return [
        {
            "measure": "drift",
            "bucket": row["feature"],
            "bucket_order": place,
            "observed": row["psi"],
            "row_count": rows.num_rows,
        }
        for place, row in enumerate(found.to_pylist(), start=1)
    ]
