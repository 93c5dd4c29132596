"""How good probabilities are: ranking, calibration and gain, with intervals that treat each person's rows as one draw.

The same person is asked about at several snapshots, and those rows are alike. Intervals that took them as independent
would be too narrow, so every interval here is clustered by person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# The 97.5 % point of the normal distribution: two-sided 95 % intervals.
Z = 1.959963984540054
# Nobody is certain: a logit and a log loss stay finite.
LEAST = 1e-9
CALIBRATION_BINS = 10
RESAMPLES = 2_000

TABLE = pa.schema(
    [
        ("bucket", pa.string()),
        ("bucket_order", pa.int64()),
        ("expected", pa.float64()),
        ("observed", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("row_count", pa.int64()),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What a challenger gains over the champion on the same rows, in log loss per row, with its 95 % interval."""

    is_better: bool
    gain: float
    low: float
    high: float


def evaluate(
    labels: ArrayLike, probabilities: ArrayLike, persons: ArrayLike | pa.Array, threshold: float
) -> dict[str, float]:
    """Measure probabilities against what happened.

    Parameters
    ----------
    labels : array-like of bool, shape (n,)
        What happened.
    probabilities : array-like of float in [0, 1], shape (n,)
        What was foretold.
    persons : array-like, shape (n,)
        Whose rows they are; intervals are clustered by it.
    threshold : float
        From which probability on somebody counts as foretold to do it.

    Returns
    -------
    dict of str to float
        ``auc, auc_low, auc_high, pr_auc`` (average precision), ``brier, log_loss, precision, recall,
        calibration_slope, calibration_slope_low, calibration_slope_high, calibration_intercept``. What one class alone
        leaves undefined is NaN, save precision and recall: they are 0 where there is nobody to count.

    Notes
    -----
    Calibration is Cox's: the logistic regression of what happened on the logit of what was foretold, slope 1 and
    intercept 0 when chances are what they say; its interval is the cluster sandwich's.

    References
    ----------
    Cox, D.R. (1958). Two further applications of a model for binary regression. Biometrika 45(3/4), 562-565.
    Obuchowski, N.A. (1997). Nonparametric analysis of clustered ROC curve data. Biometrics 53(2), 567-578.
    Liang, K.-Y. & Zeger, S.L. (1986). Longitudinal data analysis using generalized linear models. Biometrika 73(1).
    """
    happened, chances = np.asarray(labels, bool), _clipped(probabilities)
    cluster = _codes(persons)
    low, high = auc_interval(happened, chances, cluster)
    slope, error, intercept = _calibration(happened, chances, cluster)
    foretold = np.asarray(probabilities, float) >= threshold
    hits = float(np.sum(foretold & happened))
    return {
        "auc": auc(happened, chances),
        "auc_low": low,
        "auc_high": high,
        "pr_auc": _average_precision(happened, chances),
        "brier": float(np.mean((np.asarray(probabilities, float) - happened) ** 2)),
        "log_loss": log_loss(happened, chances),
        "precision": hits / max(float(foretold.sum()), 1.0),
        "recall": hits / max(float(happened.sum()), 1.0),
        "calibration_slope": slope,
        "calibration_slope_low": slope - Z * error,
        "calibration_slope_high": slope + Z * error,
        "calibration_intercept": intercept,
    }


def compare(
    labels: ArrayLike, champion: ArrayLike, challenger: ArrayLike, persons: ArrayLike | pa.Array, seed: int = 0
) -> Comparison:
    """Say whether a challenger's probabilities are better than the champion's on the same rows, beyond noise.

    Parameters
    ----------
    labels : array-like of bool, shape (n,)
        What happened.
    champion, challenger : array-like of float in [0, 1], shape (n,)
        What each foretold of the same rows.
    persons : array-like, shape (n,)
        Whose rows they are: people are drawn again with all their rows.
    seed : int
        Of the draws.

    Returns
    -------
    Comparison
        ``gain`` is the champion's log loss less the challenger's; the challenger is better only if the whole 95 %
        interval (percentiles of 2,000 bootstrap draws of people) is above zero.

    References
    ----------
    Field, C.A. & Welsh, A.H. (2007). Bootstrapping clustered data. J. R. Stat. Soc. B 69(3), 369-390.
    """
    happened = np.asarray(labels, bool)
    gains = _losses(happened, _clipped(champion)) - _losses(happened, _clipped(challenger))
    cluster = _codes(persons)
    total, size = np.bincount(cluster, gains), np.bincount(cluster).astype(float)
    rng = np.random.default_rng(seed)
    drawn = np.empty(RESAMPLES)
    for one in range(RESAMPLES):
        times = np.bincount(rng.integers(0, len(size), len(size)), minlength=len(size))
        drawn[one] = (times @ total) / (times @ size)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Comparison(is_better=bool(low > 0), gain=float(gains.mean()), low=float(low), high=float(high))


def calibration_table(labels: ArrayLike, probabilities: ArrayLike, bins: int = CALIBRATION_BINS) -> pa.Table:
    """Compare what was foretold with what happened, over bins of equally many rows.

    Parameters
    ----------
    labels : array-like of bool, shape (n,)
        What happened.
    probabilities : array-like of float in [0, 1], shape (n,)
        What was foretold; equal ones stay together.
    bins : int
        At most so many.

    Returns
    -------
    pyarrow.Table
        ``bucket`` (the range of chances in words), ``bucket_order`` from 1, ``expected`` and ``observed`` means, the
        Wilson interval ``low`` to ``high`` of the latter, ``row_count``.
    """
    happened, chances = np.asarray(labels, bool), np.asarray(probabilities, float)
    edges = np.unique(np.quantile(chances, np.arange(1, bins) / bins))
    place = np.searchsorted(edges, chances, side="left")
    _, order = np.unique(place, return_inverse=True)
    names = [
        f"{chances[order == one].min():.1%} to {chances[order == one].max():.1%}" for one in range(order.max() + 1)
    ]
    return _table(happened, chances, order, names)


def fairness_table(labels: ArrayLike, probabilities: ArrayLike, groups: Sequence[str | None] | pa.Array) -> pa.Table:
    """Compare what was foretold with what happened, group by group.

    Parameters
    ----------
    labels : array-like of bool, shape (n,)
        What happened.
    probabilities : array-like of float in [0, 1], shape (n,)
        What was foretold.
    groups : sequence of str or pyarrow.Array, shape (n,)
        The group of each row; a missing one is ``unknown``.

    Returns
    -------
    pyarrow.Table
        As ``calibration_table``, the largest group first.
    """
    happened, chances = np.asarray(labels, bool), np.asarray(probabilities, float)
    values = groups.to_pylist() if isinstance(groups, pa.Array | pa.ChunkedArray) else list(groups)
    said = np.array(["unknown" if value is None else str(value) for value in values], dtype=object)
    names, place, counts = np.unique(said, return_inverse=True, return_counts=True)
    rank = np.argsort(np.argsort(-counts, kind="stable"))
    order = rank[place]
    return _table(happened, chances, order, [str(name) for name in names[np.argsort(rank)]])


def auc(labels: NDArray[np.bool_], scores: Floats) -> float:
    """Chance that a row where it happened has the higher score, ties counted half (Mann and Whitney 1947)."""
    from scipy.stats import rankdata

    cases = int(labels.sum())
    if cases == 0 or cases == len(labels):
        return float("nan")
    ranks = rankdata(scores)
    return float((ranks[labels].sum() - cases * (cases + 1) / 2) / (cases * (len(labels) - cases)))


def auc_interval(labels: NDArray[np.bool_], scores: Floats, cluster: NDArray[np.int64]) -> tuple[float, float]:
    """95 % interval of the AUC with clustered rows, on the logit scale so that it stays within 0 and 1.

    DeLong's placements, summed over each cluster before their variance is taken (Obuchowski 1997).
    """
    from scipy.stats import rankdata

    cases, controls = int(labels.sum()), int((~labels).sum())
    if min(cases, controls) == 0:
        return float("nan"), float("nan")
    area, ranks = auc(labels, scores), rankdata(scores)
    of_case = (ranks[labels] - rankdata(scores[labels])) / controls
    of_control = 1 - (ranks[~labels] - rankdata(scores[~labels])) / cases
    count = int(cluster.max()) + 1
    up = np.bincount(cluster[labels], of_case - area, minlength=count)
    down = np.bincount(cluster[~labels], of_control - area, minlength=count)
    with_case, with_control = len(np.unique(cluster[labels])), len(np.unique(cluster[~labels]))
    variance = (
        _unbiased(with_case) * (up @ up) / cases**2
        + _unbiased(with_control) * (down @ down) / controls**2
        + 2 * _unbiased(count) * (up @ down) / (cases * controls)
    )
    inside = float(np.clip(area, LEAST, 1 - LEAST))
    half = Z * np.sqrt(np.maximum(variance, 0.0)) / (inside * (1 - inside))
    centre = np.log(inside / (1 - inside))
    return min(float(chance(centre - half)), area), max(float(chance(centre + half)), area)


def wilson(wins: ArrayLike, sizes: ArrayLike) -> tuple[Floats, Floats]:
    """95 % interval of a share (Wilson 1927)."""
    won, size = np.asarray(wins, float), np.asarray(sizes, float)
    middle = (won + Z**2 / 2) / (size + Z**2)
    half = Z * np.sqrt(won * (size - won) / size + Z**2 / 4) / (size + Z**2)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def _calibration(labels: NDArray[np.bool_], chances: Floats, cluster: NDArray[np.int64]) -> tuple[float, float, float]:
    """Slope of what happened on the logit, its cluster sandwich error, and the intercept."""
    logits = logit(chances)
    if labels.all() or not labels.any() or np.ptp(logits) < LEAST:
        return float("nan"), float("nan"), float("nan")
    design = np.column_stack([np.ones(len(logits)), logits])
    weights = fit_logistic(design, labels)
    fitted = chance(design @ weights)
    bread = np.linalg.inv(design.T @ (design * (fitted * (1 - fitted))[:, None]))
    scores = design * (labels - fitted)[:, None]
    summed = np.column_stack([np.bincount(cluster, column) for column in scores.T])
    meat = summed.T @ summed * _unbiased(len(summed))
    covariance = bread @ meat @ bread
    return float(weights[1]), float(np.sqrt(covariance[1, 1])), float(weights[0])


def fit_logistic(design: Floats, labels: NDArray[np.bool_]) -> Floats:
    """Coefficients of an unpenalised logistic regression, by Newton's method with halved steps."""
    weights = np.zeros(design.shape[1])

    def loss(at: Floats) -> float:
        logits = design @ at
        return float(np.sum(np.logaddexp(0, logits) - labels * logits))

    now = loss(weights)
    for _ in range(100):
        fitted = chance(design @ weights)
        curvature = design.T @ (design * np.maximum(fitted * (1 - fitted), LEAST)[:, None])
        # Columns that say the same (chances all alike) leave it singular: the shortest step then.
        step = np.linalg.lstsq(curvature, design.T @ (labels - fitted), rcond=None)[0]
        while (after := loss(weights + step)) > now and np.abs(step).max() > LEAST:
            step = step / 2
        weights, now = weights + step, after
        if np.abs(step).max() < LEAST:
            break
    return weights


def _average_precision(labels: NDArray[np.bool_], chances: Floats) -> float:
    """Precision averaged over the recall that each distinct chance adds, highest first."""
    if not labels.any():
        return float("nan")
    order = np.argsort(-chances, kind="stable")
    found, sorted_chance = np.cumsum(labels[order]), chances[order]
    last = np.flatnonzero(np.r_[np.diff(sorted_chance) != 0, True])
    gained = np.diff(np.r_[0, found[last]])
    return float(np.sum(gained / found[-1] * found[last] / (last + 1)))


def _table(labels: NDArray[np.bool_], chances: Floats, order: NDArray[np.int64], names: Sequence[str]) -> pa.Table:
    counts, wins = np.bincount(order), np.bincount(order, labels)
    low, high = wilson(wins, counts)
    columns: list[Any] = [
        list(names),
        np.arange(1, len(names) + 1),
        np.bincount(order, chances) / counts,
        wins / counts,
        low,
        high,
        counts,
    ]
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, TABLE, strict=True)], schema=TABLE
    )


def _codes(persons: ArrayLike | pa.Array) -> NDArray[np.int64]:
    """Number people, the same way whatever they are called."""
    if isinstance(persons, pa.Array | pa.ChunkedArray):
        whole = persons.combine_chunks() if isinstance(persons, pa.ChunkedArray) else persons
        coded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
        return np.asarray(coded.indices.to_numpy(zero_copy_only=False), np.int64)
    return np.unique(np.asarray(persons), return_inverse=True)[1].astype(np.int64)


def _unbiased(clusters: int) -> float:
    return clusters / (clusters - 1) if clusters > 1 else 1.0


def _clipped(probabilities: ArrayLike) -> Floats:
    return np.asarray(np.clip(np.asarray(probabilities, float), LEAST, 1 - LEAST), float)


def _losses(labels: NDArray[np.bool_], chances: Floats) -> Floats:
    return np.asarray(-np.log(np.where(labels, chances, 1 - chances)), float)


def log_loss(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean of minus the log of the probability given to what happened."""
    return float(_losses(np.asarray(labels, bool), _clipped(probabilities)).mean())


def logit(probabilities: ArrayLike) -> Floats:
    """Logit of probabilities; certainty is kept finite."""
    clipped = _clipped(probabilities)
    return np.asarray(np.log(clipped / (1 - clipped)), float)


def chance(logits: Floats | float) -> Floats:
    """Probability of a logit."""
    return np.asarray(1 / (1 + np.exp(-np.asarray(logits, float))))
