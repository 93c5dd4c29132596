"""Pictures of a trained model, for its registered version and the pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ml.propensity import Trained

# Okabe and Ito's palette, as on the other pictures of the pages.
ACCENT, QUIET, ALARM = "#0072B2", "#999999", "#D55E00"
WIDTH_INCHES, HEIGHT_INCHES = 6.0, 5.0
FEATURES_SHOWN = 15


def draw_calibration(trained: Trained) -> Figure:
    """Draw what was foretold on the hold-out against what happened, over a histogram of what was foretold.

    Parameters
    ----------
    trained : Trained
        A model; its ``calibration`` and ``holdout`` are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Each point is a tenth of the rows with its 95 % interval; on the diagonal, chances are what they say.
    """
    table = trained.calibration
    expected, observed, low, high = (table[name].to_numpy() for name in ("expected", "observed", "low", "high"))
    chances = trained.holdout["probability"].to_numpy()
    figure = _figure(HEIGHT_INCHES)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[4, 1])
    # The eye should see the part of the scale that is used.
    end = min(1.0, 1.1 * max(high.max(), chances.max()))
    upper.plot([0, end], [0, end], color=QUIET, linewidth=1)
    upper.annotate("as foretold ", (0.9 * end, 0.9 * end), ha="right", color=QUIET, fontsize=8)
    upper.errorbar(
        expected, observed, yerr=[observed - low, high - observed], color=ACCENT, marker="o", markersize=4, linewidth=1
    )
    metrics = trained.metrics
    slope = f"{metrics['calibration_slope']:.2f}"
    interval = f"{metrics['calibration_slope_low']:.2f} to {metrics['calibration_slope_high']:.2f}"
    _title(upper, f"Foretold {chances.mean():.1%}, happened {_rate(trained):.1%}; slope {slope} ({interval})")
    upper.set_ylabel("happened", fontsize=8)
    lower.hist(chances, bins=np.linspace(0, end, 41).tolist(), color=ACCENT)
    lower.axvline(trained.threshold, color=ALARM, linewidth=1)
    lower.annotate(
        f" used threshold {trained.threshold:.0%}",
        (trained.threshold, 0.85),
        xycoords=lower.get_xaxis_transform(),
        color=ALARM,
        fontsize=8,
    )
    lower.set_ylabel("rows", fontsize=8)
    lower.set_xlabel(f"foretold chance, {len(chances):,} rows of the hold-out", fontsize=8)
    upper.set_xlim(0, end)
    upper.set_ylim(0, end)
    for axis in (upper, lower):
        _plain(axis)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    upper.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    return figure


def draw_importance(trained: Trained) -> Figure:
    """Draw what the model would lose without its weightiest features.

    Parameters
    ----------
    trained : Trained
        A model; its ``importance`` is drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Bars: growth of the hold-out's log loss when a feature is shuffled.
    """
    table = trained.importance.slice(0, FEATURES_SHOWN)
    names = [name.replace("_", " ") for name in table["feature"].to_pylist()]
    grown = table["log_loss"].to_numpy()
    figure = _figure(1.0 + 0.27 * len(names), left=0.36)
    axis = figure.subplots()
    axis.barh(names, grown, color=ACCENT, height=0.6)
    for position, value in enumerate(grown):
        axis.annotate(f" {value:.4f}", (max(value, 0.0), position), va="center", fontsize=8)
    axis.invert_yaxis()
    axis.set_xlim(min(grown.min(), 0.0), 1.2 * max(grown.max(), 1e-6))
    axis.set_xticks([])
    axis.spines["bottom"].set_visible(False)
    _plain(axis)
    sentence = f"“{names[0]}” tells most: shuffled, log loss grows by {grown[0]:.4f}"
    figure.suptitle(sentence, x=0.02, ha="left", fontsize=9, fontweight="bold")
    return figure


def _rate(trained: Trained) -> float:
    return trained.holdout_positive_count / trained.holdout_row_count


def _figure(height: float, *, left: float = 0.11) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_INCHES, height), dpi=110)
    figure.subplots_adjust(left=left, right=0.97, top=1 - 0.35 / height, bottom=0.5 / height, hspace=0.1)
    FigureCanvasAgg(figure)
    return figure


def _plain(axis: Axes) -> None:
    axis.spines[["top", "right", "left"]].set_visible(False)
    axis.tick_params(labelsize=8)


def _title(axis: Axes, sentence: str) -> None:
    axis.set_title(sentence, loc="left", fontsize=9, fontweight="bold")
