"""Propensity: the chance that somebody does something within some days of a snapshot.

Two learners compete on later snapshots of the training part: a logistic regression whose features may bend, and
boosted trees. The better one is judged once, on the latest snapshots, which neither has seen.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ml import evaluation

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# The hold-out is the latest fifth of the snapshots, rounded up.
HOLDOUT_PARTS = 5
# Fewer snapshots leave nothing between the earliest training weeks and a purged hold-out.
FEWEST_SNAPSHOTS = 8
# Of either outcome; with fewer, chances cannot be told from luck.
FEWEST_IN_TRAINING, FEWEST_IN_HOLDOUT = 40, 10
# The training part is cut into so many stretches of time; the last ones are foretold from what came before each.
STRETCHES, FORETOLD = 5, 3
# Bins count half, so that they bend a line only where rows insist.
BIN_WEIGHT = {"bins": 0.5}
STRENGTHS = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
BINS, FEWEST_PER_LEVEL = 5, 20
TREES = 80
LEAVES = (4, 8)
# Rows are scored so many at a time: memory stays flat.
CHUNK_ROWS = 100_000
# Fewer rows than this are done before a second thread has woken up; on a busy machine long before.
FEWEST_FOR_THREADS = 50_000

LINEAR, BOOSTED = "logistic regression", "histogram gradient boosting"
MISSING = "(none)"
# Steps of a pipeline; flags are numbers with two values.
NUMBERS, FLAGS, CATEGORIES = "numbers", "flags", "categories"
KEYS = ("person_id", "snapshot_date", "label")
DRIFT_BINS = 10
# Under so few rows the index moves by more than what counts as drift, for no reason.
FEWEST_FOR_DRIFT = 200
SCORE = "probability"
REASONS = 3
# On the logit; what moves a chance less is no reason.
LEAST_REASON = 0.05
REFERENCES = (1 / 6, 1 / 2, 5 / 6)
SHUFFLES = 3


class NotTrainable(ValueError):
    """The rows cannot carry a model; the text says why in one sentence."""


class SchemaChanged(ValueError):
    """The rows do not have the columns a model was trained on; the text names them in one sentence."""


@dataclass(frozen=True, kw_only=True)
class FeatureSchema:
    """The feature columns of a model, by what they hold."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, numeric ones first."""
        return (*self.numeric, *self.categorical)


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A fitted model and what became of it on the hold-out.

    Attributes
    ----------
    pipeline : sklearn estimator
        Takes the frame that ``predict`` prepares; ``predict_proba`` gives the chance.
    algorithm : str
        In words.
    threshold : float
        The chance from which somebody counts as foretold: best F1 on the foretold stretches of the training part.
    metrics : dict of str to float
        ``evaluation.evaluate`` on the hold-out, and ``base_rate_log_loss``: what the training part's rate alone loses.
    calibration : pyarrow.Table
        ``evaluation.calibration_table`` of the hold-out.
    importance : pyarrow.Table
        ``feature, log_loss``: by how much the hold-out's log loss grows when that feature is shuffled; the weightiest
        first. Features left out because they never vary are not in it.
    holdout : pyarrow.Table
        ``person_id, snapshot_date, label, probability``.
    background : dict
        For JSON: how features and probabilities were spread in training, and what reasons are told against.
    """

    pipeline: Any
    schema: FeatureSchema
    algorithm: str
    threshold: float
    metrics: dict[str, float]
    calibration: pa.Table
    importance: pa.Table
    holdout: pa.Table
    training_from: date
    training_to: date
    holdout_from: date
    holdout_to: date
    row_count: int
    positive_count: int
    holdout_row_count: int
    holdout_positive_count: int
    background: dict[str, Any] = field(repr=False)


@dataclass(frozen=True)
class _Data:
    """Rows as the learners take them, sorted by person and snapshot."""

    frame: pd.DataFrame
    labels: NDArray[np.bool_]
    days: Ints
    person: Ints

    def only(self, rows: NDArray[Any]) -> _Data:
        """Some of the rows."""
        return _Data(self.frame[rows] if rows.dtype == bool else self.frame.iloc[rows],
                     self.labels[rows], self.days[rows], self.person[rows])  # fmt: skip


@dataclass(frozen=True)
class _Candidate:
    """A learner with its settings, and what it foretold of the stretches it had not seen."""

    algorithm: str
    make: Callable[[], Any]
    loss: float
    logits: Floats

    def fit(self, data: _Data) -> Any:
        """A pipeline of these settings, fitted to all the rows."""
        with _ties_allowed():
            return self.make().fit(data.frame, data.labels)


def train(rows: pa.Table, *, schema: FeatureSchema, horizon_days: int, seed: int = 0) -> Trained:
    """Fit, select, calibrate and judge a model.

    Parameters
    ----------
    rows : pyarrow.Table
        ``person_id``, ``snapshot_date`` (date32), ``label`` (bool, complete) and the columns of the schema, in any
        order: the same rows give the same model.
    schema : FeatureSchema
        Which columns are features; those that never vary in training are left out.
    horizon_days : int
        How long a label looks ahead. Training rows whose label reaches into the hold-out are left out, and so within
        the training part before each stretch that is foretold.
    seed : int
        Of what is drawn.

    Returns
    -------
    Trained
        The learner of least log loss on later stretches of the training part, by people it had not seen; trees only
        where they beat the logistic regression beyond noise.

    Raises
    ------
    NotTrainable
        One class, too few of one, nothing that varies, too few snapshots, or no better than the base rate: on the
        hold-out it ranks no better than chance beyond noise, or its log loss is not less.
    """
    # In one thread sums are made in the same order on every machine.
    with _one_thread():
        return _train(
            rows.sort_by([("person_id", "ascending"), ("snapshot_date", "ascending")]),
            schema=schema,
            horizon_days=horizon_days,
            seed=seed,
        )


def _train(rows: pa.Table, *, schema: FeatureSchema, horizon_days: int, seed: int) -> Trained:
    data = _data(rows, schema=schema)
    _check_classes(data.labels)
    snapshots = np.unique(data.days)
    if len(snapshots) < FEWEST_SNAPSHOTS:
        raise NotTrainable(
            f"There are {len(snapshots)} snapshots with complete labels, and a model needs {FEWEST_SNAPSHOTS}: "
            "more weeks of history will mend it."
        )
    border = int(snapshots[-math.ceil(len(snapshots) / HOLDOUT_PARTS)])
    in_training, in_holdout = data.days + horizon_days <= border, data.days >= border
    _check_enough(data.labels[in_training], "training", FEWEST_IN_TRAINING)
    _check_enough(data.labels[in_holdout], "the hold-out", FEWEST_IN_HOLDOUT)
    training, holdout = data.only(in_training), data.only(in_holdout)
    used = _varying(training.frame, schema)
    best, foretold = _select(training, used, horizon_days, seed)
    pipeline, algorithm = best.fit(training), best.algorithm
    sigmoid = _worthwhile_sigmoid(best.logits, training.only(foretold))
    chances = evaluation.chance(best.logits)
    if sigmoid is not None:
        pipeline, algorithm = _with_sigmoid(pipeline, training, *sigmoid), f"{algorithm}, calibrated"
        chances = evaluation.chance(sigmoid[0] * best.logits + sigmoid[1])
    threshold = _best_threshold(training.labels[foretold], chances)
    return _judge(
        pipeline,
        algorithm=algorithm,
        threshold=threshold,
        schema=schema,
        used=used,
        training=training,
        holdout=holdout,
        keys=rows.select(["person_id", "snapshot_date", "label"]).filter(pa.array(in_holdout)),
        seed=seed,
    )


def prepare(rows: pa.Table, *, schema: FeatureSchema) -> pd.DataFrame:
    """Turn an Arrow table into the frame that a fitted pipeline takes.

    Parameters
    ----------
    rows : pyarrow.Table
        Holds at least the columns of the schema.
    schema : FeatureSchema
        What the model was trained on.

    Returns
    -------
    pandas.DataFrame
        Doubles, NaN where null, and texts.

    Raises
    ------
    SchemaChanged
        A column is missing or holds something else.
    """
    import pandas as pd

    _check_schema(rows.schema, schema)
    columns: dict[str, Any] = {}
    for name in schema.numeric:
        values = rows[name].cast(pa.float64()).combine_chunks()
        columns[name] = values.to_numpy(zero_copy_only=False)
    for name in schema.categorical:
        values = rows[name].combine_chunks()
        coded = values if pa.types.is_dictionary(values.type) else values.dictionary_encode()
        # One text object per level, whatever the number of rows.
        levels = np.array([*coded.dictionary.to_pylist(), MISSING], dtype=object)
        codes = coded.indices.fill_null(len(levels) - 1).to_numpy(zero_copy_only=False)
        columns[name] = pd.Series(levels[codes], dtype=object, copy=False)
    return pd.DataFrame(columns, copy=False)


def predict(pipeline: Any, rows: pa.Table, *, schema: FeatureSchema) -> Floats:
    """Give each row its chance.

    Parameters
    ----------
    pipeline : sklearn estimator
        ``Trained.pipeline``.
    rows : pyarrow.Table
        Holds at least the columns of the schema; others are not looked at.
    schema : FeatureSchema
        What the model was trained on.

    Returns
    -------
    numpy.ndarray of float, shape (rows,)
        Chances in [0, 1].

    Raises
    ------
    SchemaChanged
        A column is missing or holds something else.
    """
    frame = prepare(rows, schema=schema)
    chances = np.empty(len(frame))
    with _one_thread() if len(frame) < FEWEST_FOR_THREADS else nullcontext():
        for start in range(0, len(frame), CHUNK_ROWS):
            part = slice(start, start + CHUNK_ROWS)
            chances[part] = pipeline.predict_proba(frame.iloc[part])[:, 1]
    return chances


def reasons(
    pipeline: Any,
    rows: pa.Table,
    *,
    schema: FeatureSchema,
    background: Mapping[str, Any],
    words: Mapping[str, str],
    families: Mapping[str, str] | None = None,
) -> list[list[str]]:
    """Say in words what moves each row's chance most.

    Parameters
    ----------
    pipeline : sklearn estimator
        ``Trained.pipeline``.
    rows : pyarrow.Table
        As for ``predict``.
    schema : FeatureSchema
        What the model was trained on.
    background : mapping
        ``Trained.background``.
    words : mapping of str to str
        What a feature is called: a number goes in front of it ("3 visits in the last week"), a share or a category
        behind ("channel of the first visit: email"), either where ``{}`` stands if it does. After ``|`` come wordings
        for exact values: ``import finished|0=import not finished``.
    families : mapping of str to str, optional
        Features that tell of the same thing, by a name they share: they share a weight as well, so that single ones say
        little. Their parts count together, and the one that moves most the way of all of them is told.

    Returns
    -------
    list of list of str
        Up to three per row, the weightiest first, each ending in ``(raises)`` or ``(lowers)``.

    Notes
    -----
    A logistic regression adds its features up on the logit, so that a feature's part, less its mean in training, is
    exact. Of trees it is the logit less the mean logit with that feature set to a low, a middle and a high value of the
    training rows. The sigmoid of a calibrated model changes neither order nor direction.
    """
    frame = prepare(rows, schema=schema)
    described = background["features"]
    names = list(described)
    told: list[list[str]] = []
    for start in range(0, len(frame), CHUNK_ROWS):
        part = frame.iloc[start : start + CHUNK_ROWS]
        with _one_thread() if len(part) < FEWEST_FOR_THREADS else nullcontext():
            moved = _contributions(pipeline, part, described)
        together, speaker = _by_family(moved, [(families or {}).get(name, name) for name in names])
        top = np.argsort(-np.abs(together), axis=1, kind="stable")[:, :REASONS]
        texts = [_Words(name, words.get(name, name.replace("_", " ")), part[name].to_numpy()) for name in names]
        for row, chosen in enumerate(top.tolist()):
            by, of = together[row], speaker[row]
            told.append([texts[of[one]](row, by[one] > 0) for one in chosen if abs(by[one]) >= LEAST_REASON])
    return told


def drift(
    background: Mapping[str, Any], rows: pa.Table, *, schema: FeatureSchema, probabilities: Floats | None = None
) -> pa.Table:
    """Say how far features and probabilities have moved since training.

    Parameters
    ----------
    background : mapping
        ``Trained.background``.
    rows : pyarrow.Table
        Rows of now, as for ``predict``.
    schema : FeatureSchema
        What the model was trained on.
    probabilities : numpy.ndarray, optional
        What is foretold of the rows.

    Returns
    -------
    pyarrow.Table
        ``feature, psi``: the population stability index over the training bins, the farthest first; ``probability`` is
        what is foretold. No rows when there are fewer than 200 to compare: the index would be noise.

    References
    ----------
    Siddiqi, N. (2006). Credit Risk Scorecards. Wiley. (Under 0.1 nothing moved, over 0.25 much did.)
    """
    found: list[tuple[str, float]] = []
    if rows.num_rows >= FEWEST_FOR_DRIFT:
        frame = prepare(rows, schema=schema)
        found = [
            (name, _psi(spread, _counts(frame[name].to_numpy(), spread)))
            for name, spread in background["features"].items()
        ]
        if probabilities is not None:
            found.append((SCORE, _psi(background["score"], _counts(probabilities, background["score"]))))
    found.sort(key=lambda one: (-one[1], one[0]))
    return pa.table(
        {
            "feature": pa.array([name for name, _ in found], pa.string()),
            "psi": pa.array([value for _, value in found], pa.float64()),
        }
    )


def _data(rows: pa.Table, *, schema: FeatureSchema) -> _Data:
    return _Data(
        frame=prepare(rows, schema=schema),
        labels=rows["label"].combine_chunks().to_numpy(zero_copy_only=False).astype(bool),
        days=_days(rows["snapshot_date"]),
        person=_persons(rows["person_id"]),
    )


def _check_schema(found: pa.Schema, schema: FeatureSchema) -> None:
    missing = [name for name in schema.names if name not in found.names]
    retyped = [
        f"{name} ({found.field(name).type})"
        for names, fits in ((schema.numeric, _is_number), (schema.categorical, _is_text))
        for name in names
        if name in found.names and not fits(found.field(name).type)
    ]
    if not missing and not retyped:
        return
    added = [name for name in found.names if name not in schema.names and name not in KEYS]
    parts = [
        f"{words} {', '.join(names)}"
        for words, names in (("missing:", missing), ("of another type:", retyped), ("not known to it:", added))
        if names
    ]
    raise SchemaChanged(
        f"The features are not those the model was trained on ({'; '.join(parts)}): train a new model on them."
    )


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind))


def _is_text(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _days(dates: pa.ChunkedArray) -> Ints:
    return np.asarray(dates.cast(pa.date32()).cast(pa.int32()).to_numpy(), np.int64)


def _date(days: Any) -> date:
    return date(1970, 1, 1) + timedelta(days=int(days))


def _persons(ids: pa.ChunkedArray) -> Ints:
    """Number people in the order of their ids, which is the rows' order."""
    coded = ids.combine_chunks().dictionary_encode()
    return np.asarray(coded.indices.to_numpy(zero_copy_only=False), np.int64)


def _check_classes(labels: NDArray[np.bool_]) -> None:
    if len(labels) == 0:
        raise NotTrainable("There are no rows with complete labels yet: more weeks of history will mend it.")
    if labels.all() or not labels.any():
        what = "every one" if labels.all() else "none"
        raise NotTrainable(
            f"Of {len(labels):,} rows with complete labels {what} has the outcome, so there is nothing to tell apart: "
            "look whether the outcome's events of the target are the right ones."
        )


def _check_enough(labels: NDArray[np.bool_], where: str, fewest: int) -> None:
    for count, what in ((int(labels.sum()), "with"), (int((~labels).sum()), "without")):
        if count < fewest:
            raise NotTrainable(
                f"There are {count:,} rows {what} the outcome in {where}, and a model needs {fewest:,}: "
                "more people or more weeks of history will mend it."
            )


def _varying(frame: pd.DataFrame, schema: FeatureSchema) -> FeatureSchema:
    used = [name for name in schema.names if frame[name].nunique(dropna=False) > 1]
    if not used:
        raise NotTrainable(
            f"None of the {len(schema.names)} features varies in training, so there is nothing to learn from: "
            "look whether the sources that fill them have landed."
        )
    return FeatureSchema(
        numeric=tuple(name for name in schema.numeric if name in used),
        categorical=tuple(name for name in schema.categorical if name in used),
    )


def _select(training: _Data, used: FeatureSchema, horizon_days: int, seed: int) -> tuple[_Candidate, Ints]:
    """The candidate of least log loss on later stretches, and the rows of those.

    Trees are taken only where they are better beyond noise: with so many settings, one of them is lucky.
    """
    folds = list(_folds(training, horizon_days))
    if not folds:
        raise NotTrainable(
            "The training weeks hold too few of either outcome to choose a learner by foretelling later ones: "
            "more weeks of history will mend it."
        )
    foretold = np.concatenate([later for _, later in folds])
    best: dict[str, _Candidate] = {}
    with _ties_allowed():
        for candidate in _candidates(training, folds, used, seed):
            rival = best.get(candidate.algorithm)
            if rival is None or candidate.loss < rival.loss:
                best[candidate.algorithm] = candidate
    linear, trees = best[LINEAR], best[BOOSTED]
    labels, persons = training.labels[foretold], training.person[foretold]
    chances = (evaluation.chance(linear.logits), evaluation.chance(trees.logits))
    return (trees if evaluation.compare(labels, *chances, persons, seed).is_better else linear), foretold


def _one_thread() -> AbstractContextManager[Any]:
    """Keep libraries from starting more threads."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(limits=1)
    return limits


@contextmanager
def _ties_allowed() -> Iterator[None]:
    """Counts have ties, so that fewer bins come out than were asked for: that is no warning."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Bins whose width", UserWarning)
        yield


def _folds(training: _Data, horizon_days: int) -> Iterator[tuple[Ints, Ints]]:
    """The last stretches of time, each with the rows that were complete before it, of other people where it can be."""
    snapshots = np.unique(training.days)
    for stretch in np.array_split(snapshots, STRETCHES)[-FORETOLD:]:
        if len(stretch) == 0:
            continue
        later = (training.days >= stretch[0]) & (training.days <= stretch[-1])
        before = training.days + horizon_days <= stretch[0]
        others = before & ~np.isin(training.person, training.person[later])
        # Where the same people are asked about for months, others are too few: then only time stands between.
        earlier = others if _rarer(training.labels[others]) >= FEWEST_IN_TRAINING else before
        if min(_rarer(training.labels[earlier]), _rarer(training.labels[later]) * 2) >= FEWEST_IN_HOLDOUT:
            yield np.flatnonzero(earlier), np.flatnonzero(later)


def _rarer(labels: NDArray[np.bool_]) -> int:
    return int(min(labels.sum(), (~labels).sum()))


def _candidates(
    training: _Data, folds: Sequence[tuple[Ints, Ints]], used: FeatureSchema, seed: int
) -> Iterator[_Candidate]:
    """Every learner and setting, each having foretold the later stretches."""
    later_labels = np.concatenate([training.labels[later] for _, later in folds])
    parts = [_prepared(training, fold, used) for fold in folds]

    def candidate(algorithm: str, logits: Floats, model: Any) -> _Candidate:
        loss = float(np.mean(np.logaddexp(0, logits) - later_labels * logits))
        make = partial(_pipeline, used, training.frame, bends=algorithm == LINEAR, model=model)
        return _Candidate(algorithm, make, loss, logits)

    foretold = [_logits_by_strength(before, labels, after) for before, labels, after, _ in parts]
    for place, strength in enumerate(STRENGTHS):
        yield candidate(LINEAR, np.concatenate([logits[place] for logits in foretold]), _logistic(strength))
    for leaves in LEAVES:
        # To trees a scale is nothing, and the bins are nothing new.
        stages = [
            _logits_by_count(before[:, lines], labels, after[:, lines], leaves=leaves, seed=seed)
            for before, labels, after, lines in parts
        ]
        for count, logits in enumerate(np.concatenate(stages, axis=1), start=1):
            yield candidate(BOOSTED, logits, _trees(leaves, count, seed))


def _prepared(
    training: _Data, fold: tuple[Ints, Ints], used: FeatureSchema
) -> tuple[Floats, NDArray[np.bool_], Floats, Ints]:
    """Columns of the rows to learn from with their labels, of the rows to foretell, and which columns are no bins."""
    earlier, later = fold
    columns = _columns(used, training.frame, bends=True)
    before = columns.fit_transform(training.frame.iloc[earlier])
    lines = [place if name in used.categorical else place[:1] for name, place in _places(columns).items()]
    after = columns.transform(training.frame.iloc[later])
    return before, training.labels[earlier], after, np.sort(np.concatenate(lines))


def _logits_by_strength(before: Floats, labels: NDArray[np.bool_], after: Floats) -> list[Floats]:
    """What logistic regressions foretell, each starting from the more restrained one before."""
    model, logits = _logistic(STRENGTHS[0]).set_params(warm_start=True), []
    for strength in STRENGTHS:
        logits.append(model.set_params(C=strength).fit(before, labels).decision_function(after))
    return logits


def _logits_by_count(before: Floats, labels: NDArray[np.bool_], after: Floats, *, leaves: int, seed: int) -> Floats:
    """What the first, the first two, … of the trees foretell."""
    model = _trees(leaves, TREES, seed).fit(before, labels)
    return np.stack([evaluation.logit(chances[:, 1]) for chances in model.staged_predict_proba(after)])


def _pipeline(used: FeatureSchema, frame: pd.DataFrame, *, bends: bool, model: Any) -> Any:
    from sklearn.pipeline import Pipeline

    return Pipeline([("prepare", _columns(used, frame, bends=bends)), ("model", model)])


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=2_000)


def _trees(leaves: int, count: int, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        learning_rate=0.1,
        max_iter=count,
        max_leaf_nodes=leaves,
        min_samples_leaf=30,
        l2_regularization=5.0,
        early_stopping=False,
        random_state=seed,
    )


def _columns(used: FeatureSchema, frame: pd.DataFrame, *, bends: bool) -> Any:
    """Steps before a learner: numbers on a logarithmic scale and, where they may bend, also by bins."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import FeatureUnion, Pipeline
    from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, OneHotEncoder, StandardScaler

    flags = [name for name in used.numeric if frame[name].nunique() <= 2]
    numbers = [name for name in used.numeric if name not in flags]
    fill = ("fill", SimpleImputer(strategy="median", keep_empty_features=True))
    bins = KBinsDiscretizer(
        n_bins=BINS,
        encode="onehot-dense",
        strategy="quantile",
        quantile_method="averaged_inverted_cdf",
        subsample=None,
    )
    shape = [("line", StandardScaler())] + [("bins", bins)] * bends
    # The inverse hyperbolic sine is a logarithm that knows zero and what is below it.
    log = ("log", FunctionTransformer(np.arcsinh))
    levels = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=FEWEST_PER_LEVEL, sparse_output=False)
    steps = [
        (
            NUMBERS,
            Pipeline([fill, log, ("shape", FeatureUnion(shape, transformer_weights=BIN_WEIGHT if bends else None))]),
            numbers,
        ),
        (FLAGS, Pipeline([fill, ("line", StandardScaler())]), flags),
        (CATEGORIES, levels, list(used.categorical)),
    ]
    return ColumnTransformer([step for step in steps if step[-1]])


def _places(columns: Any) -> dict[str, Ints]:
    """Into which columns of the learner each feature went."""
    places: dict[str, Ints] = {}
    for step, fitted, names in columns.transformers_:
        first = columns.output_indices_[step].start
        if step == CATEGORIES:
            rare = fitted.infrequent_categories_
            counts = [
                len(known) - (0 if few is None else len(few) - 1)
                for known, few in zip(fitted.categories_, rare, strict=True)
            ]
            places |= dict(zip(names, np.split(first + np.arange(sum(counts)), np.cumsum(counts)[:-1]), strict=True))
            continue
        places |= {name: np.array([first + place]) for place, name in enumerate(names)}
        shape = dict(fitted["shape"].transformer_list) if step == NUMBERS else {}
        if "bins" in shape:
            ends = first + len(names) + np.cumsum(shape["bins"].n_bins_)
            starts = [first + len(names), *ends[:-1]]
            for name, start, end in zip(names, starts, ends, strict=True):
                places[name] = np.r_[places[name], start:end]
    return places


def _worthwhile_sigmoid(logits: Floats, foretold: _Data) -> tuple[float, float] | None:
    """Slope and intercept of a sigmoid fitted to the last stretch that was foretold, if it is worth having.

    Earlier stretches were foretold by models that knew less than the one to be calibrated, so that a sigmoid fitted to
    them would do too much. It must help, beyond noise, both people of the last stretch it was not fitted to and the
    earlier stretches: what helps only once was luck.
    """
    days = np.unique(foretold.days)
    if len(days) < FORETOLD:
        return None
    last = foretold.days >= np.array_split(days, FORETOLD)[-1][0]
    design, late = np.column_stack([logits, np.ones(len(logits))]), foretold.only(last)
    half = late.person % 2 == 0
    if min(_rarer(late.labels[half]), _rarer(late.labels[~half])) < FEWEST_IN_HOLDOUT:
        return None
    by_others = np.empty(len(half))
    for one in (half, ~half):
        by_others[one] = design[last][one] @ evaluation.fit_logistic(design[last][~one], late.labels[~one])
    slope, intercept = evaluation.fit_logistic(design[last], late.labels)
    early = foretold.only(~last)
    helps_late = evaluation.compare(
        late.labels, evaluation.chance(logits[last]), evaluation.chance(by_others), late.person
    )
    helps_early = evaluation.compare(
        early.labels,
        evaluation.chance(logits[~last]),
        evaluation.chance(slope * logits[~last] + intercept),
        early.person,
    )
    is_worth_it = helps_late.is_better and helps_early.is_better and slope > 0
    return (float(slope), float(intercept)) if is_worth_it else None


def _with_sigmoid(pipeline: Any, training: _Data, slope: float, intercept: float) -> Any:
    """Wrap a fitted pipeline: scikit-learn's calibration, with the sigmoid found on what was foretold."""
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    calibrated = CalibratedClassifierCV(FrozenEstimator(pipeline), method="sigmoid")
    calibrated.fit(training.frame, training.labels)
    sigmoid = calibrated.calibrated_classifiers_[0].calibrators[0]
    sigmoid.a_, sigmoid.b_ = -slope, -intercept
    return calibrated


def _best_threshold(labels: NDArray[np.bool_], chances: Floats) -> float:
    """The chance with the best F1; of equals the highest."""
    order = np.argsort(-chances, kind="stable")
    hits = np.cumsum(labels[order])
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + labels.sum())
    last = np.r_[np.diff(chances[order]) != 0, True]
    return float(chances[order][np.argmax(np.where(last, f1, -1.0))])


def _judge(
    pipeline: Any,
    *,
    algorithm: str,
    threshold: float,
    schema: FeatureSchema,
    used: FeatureSchema,
    training: _Data,
    holdout: _Data,
    keys: pa.Table,
    seed: int,
) -> Trained:
    chances = pipeline.predict_proba(holdout.frame)[:, 1]
    rate = np.full(len(chances), training.labels.mean())
    gain = evaluation.compare(holdout.labels, rate, chances, holdout.person, seed)
    metrics = evaluation.evaluate(holdout.labels, chances, holdout.person, threshold)
    if not (metrics["auc_low"] > 0.5 and gain.gain > 0):
        raise NotTrainable(
            f"The best model ({algorithm}) is no better than the base rate of {rate[0]:.1%} on the hold-out "
            f"(AUC {metrics['auc']:.2f}, {metrics['auc_low']:.2f} to {metrics['auc_high']:.2f}): "
            "more people or more telling features will mend it."
        )
    return Trained(
        pipeline=pipeline,
        schema=schema,
        algorithm=algorithm,
        threshold=threshold,
        metrics={**metrics, "base_rate_log_loss": metrics["log_loss"] + gain.gain},
        calibration=evaluation.calibration_table(holdout.labels, chances),
        importance=_importance(pipeline, holdout, used, seed),
        holdout=keys.append_column("probability", pa.array(chances)),
        training_from=_date(training.days.min()),
        training_to=_date(training.days.max()),
        holdout_from=_date(holdout.days.min()),
        holdout_to=_date(holdout.days.max()),
        row_count=len(training.labels),
        positive_count=int(training.labels.sum()),
        holdout_row_count=len(holdout.labels),
        holdout_positive_count=int(holdout.labels.sum()),
        background=_background(pipeline, training, used),
    )


def _importance(pipeline: Any, holdout: _Data, used: FeatureSchema, seed: int) -> pa.Table:
    """By how much the log loss grows when a feature is shuffled (Breiman 2001)."""
    columns, model = _inner(pipeline)
    values, places = columns.transform(holdout.frame), _places(columns)
    slope, intercept = _sigmoid(pipeline)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(values)) for _ in range(SHUFFLES)]

    def loss(shuffled: Floats) -> float:
        chances = evaluation.chance(slope * model.decision_function(shuffled) + intercept)
        return evaluation.log_loss(holdout.labels, chances)

    usual = loss(values)
    grown = []
    for name in used.names:
        shuffled = values.copy()
        losses = []
        for order in orders:
            shuffled[:, places[name]] = values[order][:, places[name]]
            losses.append(loss(shuffled))
        grown.append(float(np.mean(losses)) - usual)
    table = pa.table({"feature": pa.array(used.names, pa.string()), "log_loss": pa.array(grown, pa.float64())})
    return table.sort_by([("log_loss", "descending"), ("feature", "ascending")])


def _background(pipeline: Any, training: _Data, used: FeatureSchema) -> dict[str, Any]:
    features = {name: _spread(training.frame[name].to_numpy()) for name in used.names}
    columns, model = _inner(pipeline)
    if _is_additive(model):
        values, places = columns.transform(training.frame), _places(columns)
        for name in used.names:
            features[name]["centre"] = float(values[:, places[name]].mean(axis=0) @ model.coef_[0, places[name]])
    return {"features": features, "score": _spread(pipeline.predict_proba(training.frame)[:, 1])}


def _spread(values: NDArray[Any]) -> dict[str, Any]:
    """How values are spread, in a form that JSON keeps; the last share is that of missing values or other levels."""
    if values.dtype == object:
        levels, counts = np.unique(values.astype(str), return_counts=True)
        order = np.argsort(-counts, kind="stable")[:DRIFT_BINS]
        spread: dict[str, Any] = {"levels": [str(level) for level in levels[order]]}
        spread["references"] = spread["levels"][: len(REFERENCES)]
    else:
        known = values[~np.isnan(values)]
        edges = np.unique(np.quantile(known, np.arange(1, DRIFT_BINS) / DRIFT_BINS, method="inverted_cdf"))
        spread = {"edges": [float(edge) for edge in edges]}
        references = np.quantile(known, REFERENCES, method="inverted_cdf")
        spread["references"] = [float(value) for value in references]
    return {**spread, "counts": [int(count) for count in _counts(values, spread)]}


def _counts(values: NDArray[Any], spread: Mapping[str, Any]) -> Ints:
    if "levels" in spread:
        levels = {level: place for place, level in enumerate(spread["levels"])}
        found, counts = np.unique(values.astype(str), return_counts=True)
        total = np.zeros(len(levels) + 1, np.int64)
        np.add.at(total, [levels.get(str(level), len(levels)) for level in found], counts)
        return total
    edges = np.asarray(spread["edges"])
    place = np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="left"))
    return np.bincount(place, minlength=len(edges) + 2).astype(np.int64)


def _psi(spread: Mapping[str, Any], now: Ints) -> float:
    """Population stability index; half a row is added to each bin, so that an empty one is no infinity."""
    then = np.asarray(spread["counts"], float)
    seen = (then > 0) | (now > 0)
    expected, actual = then[seen] + 0.5, now[seen] + 0.5
    expected, actual = expected / expected.sum(), actual / actual.sum()
    return float(np.sum((actual - expected) * np.log(actual / expected)))


def _inner(pipeline: Any) -> tuple[Any, Any]:
    """The steps that prepare columns and the learner, of a pipeline that may be wrapped by its calibration."""
    calibrated = getattr(pipeline, "calibrated_classifiers_", None)
    inner = pipeline if calibrated is None else calibrated[0].estimator.estimator
    return inner["prepare"], inner["model"]


def _sigmoid(pipeline: Any) -> tuple[float, float]:
    """Slope and intercept of a calibrated pipeline; of another, those that change nothing."""
    calibrated = getattr(pipeline, "calibrated_classifiers_", None)
    if calibrated is None:
        return 1.0, 0.0
    sigmoid = calibrated[0].calibrators[0]
    return -float(sigmoid.a_), -float(sigmoid.b_)


def _is_additive(model: Any) -> bool:
    return hasattr(model, "coef_")


def _contributions(pipeline: Any, frame: pd.DataFrame, described: Mapping[str, Any]) -> Floats:
    """How each described feature moves the logit of each row, against what is usual."""
    import pandas as pd

    columns, model = _inner(pipeline)
    values, places = columns.transform(frame), _places(columns)
    moved = np.empty((len(frame), len(described)))
    if _is_additive(model):
        for place, (name, spread) in enumerate(described.items()):
            moved[:, place] = values[:, places[name]] @ model.coef_[0, places[name]] - spread["centre"]
        return moved
    logits, usual = model.decision_function(values), {name: spread["references"] for name, spread in described.items()}
    longest = max(len(references) for references in usual.values())
    padded = {name: references + references[-1:] * (longest - len(references)) for name, references in usual.items()}
    blank = {name: frame[name].iloc[:1].tolist() * longest for name in frame.columns if name not in padded}
    instead = columns.transform(pd.DataFrame(blank | padded)[list(frame.columns)])
    for place, name in enumerate(described):
        changed, own = values.copy(), values[:, places[name]]
        total = np.zeros(len(frame))
        for reference in instead[: len(usual[name])]:
            changed[:, places[name]] = reference[places[name]]
            total += logits - model.decision_function(changed)
        changed[:, places[name]] = own
        moved[:, place] = total / len(usual[name])
    return moved


def _by_family(moved: Floats, families: Sequence[str]) -> tuple[Floats, Ints]:
    """Parts summed by family, row × family, and the feature that speaks for each: it moves most the family's way."""
    members = [[place for place, one in enumerate(families) if one == family] for family in dict.fromkeys(families)]
    together = np.column_stack([moved[:, places].sum(axis=1) for places in members])
    speaker = np.column_stack(
        [
            np.asarray(places)[(moved[:, places] * np.where(total < 0, -1, 1)[:, None]).argmax(axis=1)]
            for places, total in zip(members, together.T, strict=True)
        ]
    )
    return together, speaker


class _Words:
    """The wording of one feature over the rows of a chunk; each distinct value is worded once."""

    def __init__(self, name: str, words: str, values: NDArray[Any]) -> None:
        self.words, *exact = words.split("|")
        self.exact = dict(one.split("=", 1) for one in exact)
        self.is_share = name.endswith("_share")
        self.values, self.known = values.tolist(), dict[tuple[Any, bool], str]()

    def __call__(self, row: int, raises: bool) -> str:
        value = self.values[row]
        key = (value, raises)
        if key not in self.known:
            self.known[key] = f"{self._say(value)} ({'raises' if raises else 'lowers'})"
        return self.known[key]

    def _say(self, value: Any) -> str:
        if isinstance(value, str) or value != value:
            said = value if isinstance(value, str) else "unknown"
        else:
            said = f"{value:,.0f}" if value == int(value) else f"{value:,.3g}"
        if said in self.exact:
            return self.exact[said]
        if "{}" in self.words:
            return self.words.replace("{}", said)
        if said == value or value != value:
            return f"{self.words}: {said}"
        if self.is_share:
            return f"{self.words}: {value:.0%}"
        return f"no {self.words}" if value == 0 else f"{said} {self.words}"
