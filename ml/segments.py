"""Journey types: people who go about it alike, found from what they do and never from what came of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.special import digamma, gammaln, logsumexp
from sklearn.base import BaseEstimator
from sklearn.metrics import adjusted_rand_score

from ml.evaluation import Comparison, Z
from ml.propensity import NotTrainable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

# Who did less shows no way of going about it yet: about four visits of a page or two.
MINIMUM_ACTIONS = 20
# Segments of fewer people would be of a handful.
MINIMUM_PEOPLE = 200
# A segment of fewer people is not told as one.
MINIMUM_SHARE = 0.01
# An action has a column of its own when at least this share of people did it and it is among its block's commonest.
COMMON_SHARE, ACTIONS_PER_BLOCK = 0.01, 30
OTHER = "other"
# The number of segments is chosen on at most so many people; the model is then fitted to all.
PEOPLE_TO_CHOOSE = 4_000
MINIMUM_STABILITY, HALVINGS = 0.8, 2
# The simplest number that reaches this share of what the best one gains.
ENOUGH_OF_THE_GAIN = 0.95
# After so many numbers that hardly gain anything, no more are tried.
PATIENCE = 2
SHORT_STEPS, LONG_STEPS = 5, 300
CONCENTRATIONS = (0.05, 1e4)
# Hennig (2007) calls a cluster dissolved when its Jaccard similarity with its successor is not above a half.
MINIMUM_OVERLAP = 0.5
# Shares are read as if so many average people were in a segment too: a small one is not described by chance.
AVERAGE_PEOPLE = 10
NOTABLE_LIFT, NOTABLE_SHARE = 1.2, 0.05
PEOPLE_AT_A_TIME = 100_000

ASSIGNMENT = pa.schema([("person", pa.string()), ("segment", pa.int64()), ("certainty", pa.float64())])
CRITERIA = pa.schema(
    [("segment_count", pa.int64()), ("icl", pa.float64()), ("stability", pa.float64()), ("is_chosen", pa.bool_())]
)

# How a block's actions are told: in a sentence, as a name, and added to a name.
WORDS = {
    "page": ("reads {}", "{} readers", "reading {}"),
    "feature": ("uses {}", "{} users", "using {}"),
    "channel": ("comes by {}", "{} visitors", "from {}"),
    "device": ("is on {}", "{} visitors", "on {}"),
    "time of day": ("comes in the {}", "{} visitors", "in the {}"),
    "contact": ("asks by {}", "{} contacts", "asking by {}"),
}
OTHER_WORDS = ("does {}", "{} people", "with {}")


@dataclass(frozen=True, kw_only=True)
class SegmentFit:
    """Segments found.

    Attributes
    ----------
    estimator : LatentClasses
        Its segments are numbered from 0, the largest first.
    segment_count : int
        How many there are.
    stability : float
        Mean adjusted Rand index between fits on two halves of the people.
    criteria : pyarrow.Table
        ``segment_count, icl, stability, is_chosen`` for each number tried. ``icl`` is null where a segment is too
        small, ``stability`` above the number with the lowest ICL.
    person_count, left_out_count : int
        People fitted to, and those who did too little.
    """

    estimator: LatentClasses
    segment_count: int
    stability: float
    criteria: pa.Table
    person_count: int
    left_out_count: int


def fit(
    profiles: pa.Table,
    *,
    seed: int = 0,
    k_range: Sequence[int] = range(2, 11),
    vocabulary: LatentClasses | None = None,
) -> SegmentFit:
    """Find the segments of people, and how many there are.

    For each number the integrated completed likelihood is taken (ICL: how well the segments foretell what people do,
    less a penalty for parameters and for people who belong nowhere clearly), and the stability: two models are fitted
    on two halves of the people and both sort all of them; how far they agree is their adjusted Rand index. Numbers
    with a mean below 0.8 over two halvings are out, as are those with a segment of under one per cent. Of the rest
    the simplest is taken that reaches 95 % of the best one's gain over one segment: ICL goes on rewarding ever
    smaller differences the more people there are.

    Who did less than twenty things in all is left out: on four visits nobody shows a type. Neither the order of rows
    nor people's names matter.

    Parameters
    ----------
    profiles : pyarrow.Table
        ``person, block, action, count``; rows of the same action add up. Blocks and actions are found, not given:
        actions that less than one per cent of people did are one, ``other``, as are unknown ones later.
    seed : int
        Of the halving.
    k_range : sequence of int
        Numbers of segments to choose from.
    vocabulary : LatentClasses, optional
        A model whose actions are told apart, so that both can be compared; else those that people do now.

    Returns
    -------
    SegmentFit
        The model fitted to all people.

    Raises
    ------
    NotTrainable
        Too few people did enough, or no number of segments is better than one and stable.

    References
    ----------
    Biernacki, C., Celeux, G. & Govaert, G. (2000). Assessing a mixture model for clustering with the integrated
    completed likelihood. IEEE Transactions on Pattern Analysis and Machine Intelligence 22(7), 719–725.
    Ben-Hur, A., Elisseeff, A. & Guyon, I. (2002). A stability based method for discovering structure in clustered
    data. Pacific Symposium on Biocomputing 7, 6–17.
    Hubert, L. & Arabie, P. (1985). Comparing partitions. Journal of Classification 2, 193–218.
    """
    blocks, actions = (vocabulary.blocks, vocabulary.actions) if vocabulary else _vocabulary(profiles)
    counts = np.concatenate([part for _, part in _count(profiles, blocks, actions)] or [np.empty((0, 0), np.int64)])
    everybody = len(counts)
    counts = counts[counts.sum(axis=1) >= MINIMUM_ACTIONS]
    if len(counts) < MINIMUM_PEOPLE:
        raise NotTrainable(
            f"Segments need {MINIMUM_PEOPLE} people who did {MINIMUM_ACTIONS} things or more, and "
            f"{len(counts)} of {everybody} did: more weeks of history will mend it."
        )
    # An order that only the counts decide.
    counts = counts[np.lexsort(counts.T[::-1])]
    rng = np.random.default_rng(seed)
    chosen_from = counts[np.sort(rng.permutation(len(counts))[:PEOPLE_TO_CHOOSE])]
    model, criteria, stability = _choose(chosen_from, blocks=blocks, actions=actions, numbers=k_range, rng=rng)
    model.fit(counts, model.predict_proba(counts))
    model.reorder()
    return SegmentFit(
        estimator=model,
        segment_count=model.segment_count,
        stability=stability,
        criteria=criteria,
        person_count=len(counts),
        left_out_count=everybody - len(counts),
    )


def assign(model: LatentClasses, profiles: pa.Table) -> pa.Table:
    """Sort people into the segments of a model.

    Parameters
    ----------
    model : LatentClasses
        Fitted.
    profiles : pyarrow.Table
        ``person, block, action, count``. Actions unknown to the model count as ``other``, unknown blocks not at all.

    Returns
    -------
    pyarrow.Table
        ``person, segment, certainty`` by person: number of the likeliest segment and its probability. Who did less
        than twenty things is left out.
    """
    parts = []
    for people, counts in _count(profiles, model.blocks, model.actions):
        enough = counts.sum(axis=1) >= MINIMUM_ACTIONS
        chances = model.predict_proba(counts[enough])
        found = [people.filter(pa.array(enough)), pa.array(chances.argmax(axis=1)), pa.array(chances.max(axis=1))]
        parts.append(pa.Table.from_arrays(found, schema=ASSIGNMENT))
    return pa.concat_tables(parts) if parts else ASSIGNMENT.empty_table()


def unknown_share(model: LatentClasses, profiles: pa.Table) -> float:
    """Give the share of what people do, in the blocks a model knows, that has no column of its own."""
    known = set(zip(model.blocks, model.actions, strict=True))
    blocks = {block for block, _ in known}
    done = profiles.group_by(["block", "action"]).aggregate([("count", "sum")]).to_pylist()
    inside = [row for row in done if row["block"] in blocks]
    unknown = sum(row["count_sum"] for row in inside if (row["block"], row["action"]) not in known)
    return float(unknown / max(sum(row["count_sum"] for row in inside), 1))


def compare(champion: LatentClasses, challenger: LatentClasses, profiles: pa.Table) -> Comparison:
    """Say whether a model foretells better than another what people do whom neither has seen, beyond noise.

    Parameters
    ----------
    champion, challenger : LatentClasses
        Of the same blocks and actions.
    profiles : pyarrow.Table
        ``person, block, action, count`` of people kept apart.

    Returns
    -------
    Comparison
        ``gain`` in log likelihood per person; the challenger is better only if the whole 95 % interval is above zero.
    """
    gains: list[Floats] = []
    for _, counts in _count(profiles, champion.blocks, champion.actions):
        enough = counts[counts.sum(axis=1) >= MINIMUM_ACTIONS]
        gains.append(challenger.score_samples(enough) - champion.score_samples(enough))
    gain = np.concatenate(gains or [np.empty(0)])
    if len(gain) < 2:
        return Comparison(is_better=False, gain=0.0, low=0.0, high=0.0)
    mean, half = float(gain.mean()), Z * float(gain.std(ddof=1)) / float(np.sqrt(len(gain)))
    return Comparison(is_better=mean - half > 0, gain=mean, low=mean - half, high=mean + half)


def match(old: pa.Table, new: pa.Table, *, used: Sequence[str] = ()) -> dict[int, str]:
    """Give the segments of a new model the ids of the old segments that they go on from.

    Old and new segments are paired one to one so that their overlap is greatest in all (Kuhn's Hungarian method);
    overlap is Jaccard's, over people whom both sort. A pair of no more than a half is none: the cluster has dissolved
    and the new segment gets an id that nobody had before.

    Parameters
    ----------
    old : pyarrow.Table
        ``person, segment``, the segment by its id (``S1`` …).
    new : pyarrow.Table
        ``person, segment``, the segment by its number.
    used : sequence of str
        Ids of segments that once were: they are never given again.

    Returns
    -------
    dict of int to str
        Id of each new segment.

    References
    ----------
    Hennig, C. (2007). Cluster-wise assessment of cluster stability. Computational Statistics & Data Analysis 52,
    258–271.
    """
    ids = sorted(set(old["segment"].to_pylist()), key=_id_number)
    numbers = sorted(set(new["segment"].to_pylist()))
    both = new.select(["person", "segment"]).join(old.select(["person", "segment"]), "person", right_suffix="_old")
    both = both.filter(pc.is_valid(both["segment_old"]))
    shared = np.zeros((len(numbers), len(ids)))
    places = [numbers.index(number) for number in both["segment"].to_pylist()]
    np.add.at(shared, (places, [ids.index(name) for name in both["segment_old"].to_pylist()]), 1.0)
    union = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    overlap = shared / np.maximum(union, 1.0)
    kept = {
        numbers[row]: ids[column]
        for row, column in zip(*linear_sum_assignment(overlap, maximize=True), strict=True)
        if overlap[row, column] > MINIMUM_OVERLAP
    }
    highest = max((_id_number(name) for name in (*ids, *used)), default=0)
    fresh = [number for number in numbers if number not in kept]
    return kept | {number: f"S{highest + place}" for place, number in enumerate(fresh, 1)}


def describe(model: LatentClasses, profiles: pa.Table) -> list[tuple[str, str]]:
    """Say in words what sets each segment apart.

    An action tells of a segment when its share among the block's actions is at least a twentieth, and at least a
    fifth more than among everyone else. A name takes the two strongest from two blocks; no two names are the same.

    Parameters
    ----------
    model : LatentClasses
        Fitted.
    profiles : pyarrow.Table
        ``person, block, action, count``.

    Returns
    -------
    list of tuple of str
        Name and description of each segment.
    """
    told: list[tuple[str, str]] = []
    for telling in _tellings(model, _portraits(model, profiles)):
        by_block: dict[str, list[_Telling]] = {}
        for one in telling:
            by_block.setdefault(one.block, []).append(one)
        clauses = [
            WORDS.get(block, OTHER_WORDS)[0].format(" and ".join(f"{one.action} ({one.numbers})" for one in ones[:2]))
            for block, ones in by_block.items()
        ]
        sentence = "; ".join(clauses) or "does what most people do"
        told.append((_name(telling, taken=[name for name, _ in told]), f"{sentence[0].upper()}{sentence[1:]}."))
    return told


def draw_segments(model: LatentClasses, profiles: pa.Table, names: Sequence[str]) -> Figure:
    """Draw what sets the segments apart: one column each, one row for each telling action.

    Parameters
    ----------
    model : LatentClasses
        Fitted.
    profiles : pyarrow.Table
        ``person, block, action, count``.
    names : sequence of str
        Of the segments.

    Returns
    -------
    matplotlib.figure.Figure
        Cells give an action's share among its block's, coloured by how it compares with everyone else's.
    """
    from textwrap import fill

    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    portraits = _portraits(model, profiles)
    shown = {one.column for telling in _tellings(model, portraits) for one in telling}
    order = list(dict.fromkeys(model.blocks))
    rows = sorted(shown, key=lambda column: (order.index(model.blocks[column]), -portraits.overall[column]))
    lifts = np.log2(portraits.own / portraits.others)[:, rows].T
    figure = Figure(figsize=(2.2 + 1.25 * len(names), 1.35 + 0.24 * max(len(rows), 1)))
    FigureCanvasAgg(figure)
    width, height = figure.get_size_inches()
    figure.subplots_adjust(left=1.9 / width, right=1 - 0.15 / width, top=1 - 1.1 / height, bottom=0.15 / height)
    axis = figure.add_subplot()
    colours = LinearSegmentedColormap.from_list("segments", ["#D55E00", "#FFFFFF", "#0072B2"])
    axis.imshow(lifts, cmap=colours, vmin=-3, vmax=3, aspect="auto")
    for (row, column), lift in np.ndenumerate(lifts):
        share = portraits.own[column, rows[row]]
        ink = "white" if abs(lift) > 2 else "black"
        axis.text(column, row, f"{share:.0%}", ha="center", va="center", fontsize=7, color=ink)
    sizes = portraits.people / max(portraits.people.sum(), 1)
    heads = [f"{fill(name, 16)}\n{size:.0%}" for name, size in zip(names, sizes, strict=True)]
    axis.set_xticks(range(len(names)), heads, fontsize=7)
    axis.set_yticks(range(len(rows)), [f"{model.blocks[row]}: {model.actions[row]}" for row in rows], fontsize=7)
    title = f"{portraits.people.sum():,} people in {len(names)} segments: shares of a block, blue above everyone else's"
    figure.text(0.15 / width, 1 - 0.25 / height, title, fontsize=9, fontweight="bold")
    axis.tick_params(top=True, labeltop=True, bottom=False, labelbottom=False, length=0)
    axis.spines[:].set_visible(False)
    for place, (above, below) in enumerate(pairwise(rows)):
        if model.blocks[above] != model.blocks[below]:
            axis.axhline(place + 0.5, color="#999999", linewidth=0.8)
    return figure


class LatentClasses(BaseEstimator):  # type: ignore[misc]
    """A mixture of Dirichlet-multinomials, one for each block of actions.

    Within a segment each block (pages, features, …) is drawn on its own: a person has shares of their own about the
    segment's mean, closely or widely as the block's concentration says, which all segments share. It is estimated
    with everything else. That tempers a block by itself: where each person is a world apart (the device they own)
    a hundred counts say hardly more than two, where people of a segment are alike each count tells. Methods that weigh
    all blocks alike sort people by what they own: on the demo k-means (adjusted Rand index with the true types 0.4),
    Gaussian mixtures of the same shares (0.3 to 0.8) and plain multinomials (0.5), where this has 0.98.

    Parameters
    ----------
    segment_count : int
        How many segments.
    blocks, actions : sequence of str
        Block and action of each column of the counts; the columns of a block stand together.

    Attributes
    ----------
    weights_ : numpy.ndarray
        Share of people by segment.
    means_ : numpy.ndarray
        Segment × column: mean shares within each block.
    concentrations_ : numpy.ndarray
        One for each block, in order of appearance.
    log_likelihood_ : float
        Of the counts that it was fitted to.

    References
    ----------
    Holmes, I., Harris, K. & Quince, C. (2012). Dirichlet Multinomial Mixtures: Generative Models for Microbial
    Metagenomics. PLoS ONE 7(2): e30126. Fixed points for mean and concentration: Minka, T. (2000, revised 2012).
    Estimating a Dirichlet distribution.
    """

    def __init__(self, segment_count: int = 2, *, blocks: Sequence[str] = (), actions: Sequence[str] = ()) -> None:
        self.segment_count = segment_count
        self.blocks = blocks
        self.actions = actions

    def fit(self, counts: Integers, responsibilities: Floats, *, steps: int = LONG_STEPS) -> LatentClasses:
        """Fit by expectation maximisation.

        Parameters
        ----------
        counts : numpy.ndarray
            Person × column.
        responsibilities : numpy.ndarray
            Person × segment: to begin with.
        steps : int
            Stop after so many, or when the log likelihood moves by less than a millionth.

        Returns
        -------
        LatentClasses
            Itself.
        """
        return self._fit(self._tally(counts), responsibilities, steps=steps)

    def _fit(self, tally: _Tally, responsibilities: Floats, *, steps: int) -> LatentClasses:
        everyone = tally.everyone
        self.means_ = tally.normalised(responsibilities.T @ tally.capped + everyone)
        self.concentrations_ = np.full(tally.block_count, 10.0)
        self.weights_ = _shares(responsibilities)
        before = -np.inf
        for _ in range(steps):
            joint = tally.log_likelihood(self.means_, self.concentrations_) + np.log(self.weights_)
            each = logsumexp(joint, axis=1)
            self.log_likelihood_ = float(each.sum())
            if abs(self.log_likelihood_ - before) < 1e-6 * abs(self.log_likelihood_):
                break
            before = self.log_likelihood_
            responsibilities = np.exp(joint - each[:, None])
            self.weights_ = _shares(responsibilities)
            self.means_, self.concentrations_ = tally.update(
                responsibilities, means=self.means_, concentrations=self.concentrations_, everyone=everyone
            )
        return self

    def predict_proba(self, counts: Integers) -> Floats:
        """Give the probability of each segment for each row of counts."""
        return self._probabilities(self._tally(counts))

    def _probabilities(self, tally: _Tally) -> Floats:
        joint = tally.log_likelihood(self.means_, self.concentrations_) + np.log(self.weights_)
        return np.asarray(np.exp(joint - logsumexp(joint, axis=1, keepdims=True)))

    def score_samples(self, counts: Integers) -> Floats:
        """Give the log likelihood of each row of counts, without what is the same for every model."""
        joint = self._tally(counts).log_likelihood(self.means_, self.concentrations_) + np.log(self.weights_)
        return np.asarray(logsumexp(joint, axis=1))

    def predict(self, counts: Integers) -> Integers:
        """Give the likeliest segment for each row of counts."""
        return np.asarray(self.predict_proba(counts).argmax(axis=1))

    def icl(self, counts: Integers) -> float:
        """Give the integrated completed likelihood, smaller is better: BIC and twice the entropy of who is where."""
        names = set(self.blocks)
        free = self.segment_count - 1 + self.segment_count * (len(self.actions) - len(names)) + len(names)
        probabilities = self.predict_proba(counts)
        entropy = -float((probabilities * np.log(np.maximum(probabilities, 1e-300))).sum())
        return -2.0 * self.log_likelihood_ + free * float(np.log(len(counts))) + 2.0 * entropy

    def reorder(self) -> None:
        """Number the segments by size, the largest first."""
        order = np.argsort(-self.weights_, kind="stable")
        self.weights_, self.means_ = self.weights_[order], self.means_[order]

    def _tally(self, counts: Integers) -> _Tally:
        return _Tally(counts, self.blocks)


class _Tally:
    """Counts turned inside out: which people have which number of an action, for each number that occurs.

    The likelihood needs the gamma function of each distinct (action, number) once, not of each person.
    """

    def __init__(self, counts: Integers, blocks: Sequence[str]) -> None:
        names = list(dict.fromkeys(blocks))
        self.block = np.array([names.index(block) for block in blocks])
        self.block_count = len(names)
        self.totals = totals = self._sum_of_block(counts)
        self.shares = counts / np.maximum(totals, 1)[:, self.block]
        self.has = (totals > 0)[:, self.block]
        # So that the busy do not decide where a fit begins.
        self.capped = self.shares * np.minimum(totals, MINIMUM_ACTIONS)[:, self.block]
        self.everyone = self.normalised(counts.sum(axis=0) + 1.0)
        self.cells, self.column, self.number = _distinct(counts)
        self.sums, self.sum_block, self.sum_number = _distinct(totals)
        self.sum_people = np.asarray(self.sums.sum(axis=0)).ravel()

    def normalised(self, shares: Floats) -> Floats:
        """Make the columns of each block add up to one."""
        return np.asarray(shares / self._sum_of_block(shares)[..., self.block])

    def side(self, mine: Flags, concentrations: Floats) -> Flags:
        """Give the people of a segment on one side of its middle, along the direction in which they differ most.

        That is how Boley (1998) divides documents: Principal Direction Divisive Partitioning. Here people differ by the
        roots of their shares, so that chance moves all about as far; a block weighs as much as the number of
        independent actions that a person's are worth at its concentration.
        """
        totals, has, roots = self.totals[mine], self.has[mine], np.sqrt(self.shares[mine])
        worth = totals * (1 + concentrations) / (totals + concentrations)
        apart = (roots - roots.sum(axis=0) / np.maximum(has.sum(axis=0), 1)) * np.sqrt(worth)[:, self.block]
        side = mine.copy()
        side[mine] = apart @ np.linalg.eigh(apart.T @ apart)[1][:, -1] > 0
        return side

    def _sum_of_block(self, values: NDArray[Any]) -> NDArray[Any]:
        sums = [values[..., self.block == number].sum(axis=-1) for number in range(self.block_count)]
        return np.stack(sums, axis=-1)

    def log_likelihood(self, means: Floats, concentrations: Floats) -> Floats:
        """Person × segment, without the coefficients that are the same in all segments."""
        alpha = (means * concentrations[self.block])[:, self.column]
        of_sum = concentrations[self.sum_block]
        own = self.cells @ (gammaln(self.number + alpha) - gammaln(alpha)).T
        return np.asarray(own + (self.sums @ (gammaln(of_sum) - gammaln(self.sum_number + of_sum)))[:, None])

    def update(
        self, responsibilities: Floats, *, means: Floats, concentrations: Floats, everyone: Floats
    ) -> tuple[Floats, Floats]:
        """Move means and concentrations towards their most likely values; ``everyone`` is a prior worth one count."""
        people = np.asarray(self.cells.T @ responsibilities).T
        pull, slope = self._slope(people, means, concentrations)
        # Newton's step for the logarithm of the concentration; uphill where the curve bends the other way.
        nearby = self._slope(people, means, concentrations * np.exp(1e-4))[1]
        curve = (nearby - slope) / 1e-4
        step = np.where(curve < 0, -slope / np.minimum(curve, -1e-12), np.sign(slope))
        moved = np.clip(concentrations * np.exp(np.clip(step, -1.0, 1.0)), *CONCENTRATIONS)
        return self.normalised(means * concentrations[self.block] * pull + everyone), moved

    def _slope(self, people: Floats, means: Floats, concentrations: Floats) -> tuple[Floats, Floats]:
        """Give the log likelihood's slope by each segment's parameters, and by the log of each concentration."""
        alpha, of_sum = (means * concentrations[self.block])[:, self.column], concentrations[self.sum_block]
        terms = people * (digamma(self.number + alpha) - digamma(alpha))
        pull: Floats = np.stack([np.bincount(self.column, row, minlength=len(self.block)) for row in terms])
        gain = self.sum_people * (digamma(self.sum_number + of_sum) - digamma(of_sum))
        blocks = np.bincount(self.block, (means * pull).sum(axis=0)) - np.bincount(self.sum_block, gain)
        return pull, np.asarray(concentrations * blocks)


def _distinct(counts: Integers) -> tuple[csr_matrix, Integers, Floats]:
    """Row × distinct (column, number), zeros left out; and the column and number of each."""
    row, column = np.nonzero(counts)
    base = int(counts.max(initial=0)) + 1
    keys, place = np.unique(column * base + counts[row, column], return_inverse=True)
    ones = csr_matrix((np.ones(len(row)), (row, place)), shape=(len(counts), len(keys)))
    return ones, keys // base, (keys % base).astype(np.float64)


def _shares(responsibilities: Floats) -> Floats:
    return np.asarray((responsibilities.sum(axis=0) + 1.0) / (len(responsibilities) + responsibilities.shape[1]))


def _grow(counts: Integers, *, blocks: Sequence[str], actions: Sequence[str], most: int) -> Iterator[LatentClasses]:
    """Fit one segment, then two, …: each starts from the one before, with the segment split that gains most."""
    tally = _Tally(counts, blocks)
    starts = [np.zeros(len(counts), np.int64)]
    for segment_count in range(1, most + 1):
        fits = []
        for start in starts:
            model = LatentClasses(segment_count, blocks=blocks, actions=actions)
            fits.append(model._fit(tally, np.eye(segment_count)[start], steps=SHORT_STEPS))
        best = max(fits, key=lambda model: model.log_likelihood_)
        best._fit(tally, best._probabilities(tally), steps=LONG_STEPS)
        yield best
        member = best._probabilities(tally).argmax(axis=1)
        starts = [
            np.where(tally.side(member == one, best.concentrations_), segment_count, member)
            for one in np.unique(member)
        ]


def _choose(
    counts: Integers, *, blocks: Sequence[str], actions: Sequence[str], numbers: Sequence[int], rng: np.random.Generator
) -> tuple[LatentClasses, pa.Table, float]:
    """Choose the number of segments; see ``fit``."""
    models: list[LatentClasses] = []
    icl: list[float] = []
    for model in _grow(counts, blocks=blocks, actions=actions, most=max(numbers)):
        models.append(model)
        sizes = np.bincount(model.predict(counts), minlength=model.segment_count)
        icl.append(model.icl(counts) if sizes.min() >= MINIMUM_SHARE * len(counts) else np.inf)
        # More numbers are of no use when the last ones hardly added to what the best of those before gained.
        before = icl[0] - min(icl[:-PATIENCE], default=icl[0])
        if len(icl) >= min(numbers) + PATIENCE and before >= ENOUGH_OF_THE_GAIN * (icl[0] - min(icl)) > 0:
            break
    most = int(np.argmin(icl)) + 1
    agreement = np.zeros((HALVINGS, most))
    for halving in agreement:
        order = rng.permutation(len(counts))
        halves = (counts[np.sort(half)] for half in np.array_split(order, 2))
        grown = [_grow(half, blocks=blocks, actions=actions, most=most) for half in halves]
        halving[:] = [adjusted_rand_score(a.predict(counts), b.predict(counts)) for a, b in zip(*grown, strict=True)]
    stability = dict(enumerate(agreement.mean(axis=0).tolist(), 1))
    gain = {number: icl[0] - icl[number - 1] for number in numbers if stability.get(number, 0.0) >= MINIMUM_STABILITY}
    stable = [number for number in gain if gain[number] > 0]
    if not stable:
        raise NotTrainable(
            "People do not differ in kind: no number of segments tells more than one does and is found again on half "
            "of the people; other actions in action_details or more weeks of history may mend it."
        )
    chosen = min(number for number in stable if gain[number] >= ENOUGH_OF_THE_GAIN * max(gain.values()))
    criteria = [
        {
            "segment_count": k,
            "icl": value if np.isfinite(value) else None,
            "stability": stability.get(k),
            "is_chosen": k == chosen,
        }
        for k, value in enumerate(icl, 1)
    ]
    return models[chosen - 1], pa.Table.from_pylist(criteria, CRITERIA), float(stability[chosen])


def _vocabulary(profiles: pa.Table) -> tuple[list[str], list[str]]:
    """Find the columns: each block's common actions, and what is left; blocks of one action say nothing."""
    done = profiles.filter(pc.greater(profiles["count"], 0))
    people = pc.count_distinct(done["person"]).as_py()
    found = done.group_by(["block", "action"]).aggregate([("person", "count_distinct")])
    by_block: dict[str, list[tuple[int, str]]] = {}
    for block, action, count in zip(*(found[name].to_pylist() for name in found.column_names), strict=True):
        own = by_block.setdefault(block, [])
        if action != OTHER and count >= COMMON_SHARE * people:
            own.append((-count, action))
    blocks, actions = [], []
    for block, own in sorted(by_block.items()):
        names = sorted(action for _, action in sorted(own)[:ACTIONS_PER_BLOCK])
        if len(names) > 1:
            blocks += [block] * (len(names) + 1)
            actions += [*names, OTHER]
    return blocks, actions


def _count(profiles: pa.Table, blocks: Sequence[str], actions: Sequence[str]) -> Iterator[tuple[pa.Array, Integers]]:
    """Lay the counts of people out in columns, some people at a time, in order of person."""
    column = {key: place for place, key in enumerate(zip(blocks, actions, strict=True))}
    (people, person), (block_names, block), (action_names, action) = (
        _coded(profiles[name]) for name in ("person", "block", "action")
    )
    pairs = product(block_names.to_pylist(), action_names.to_pylist())
    places = [column.get(pair, column.get((pair[0], OTHER), -1)) for pair in pairs]
    columns = np.array(places, np.int64).reshape(len(block_names), len(action_names))
    number = np.asarray(profiles["count"].cast(pa.int64()))
    where = columns[block, action] if len(number) else number
    keep = (where >= 0) & (number > 0)
    person, where, number = person[keep], where[keep], number[keep]
    # Alphabetical, whatever the order of rows.
    order = np.asarray(pc.sort_indices(people))
    rank = np.empty(len(people), np.int64)
    rank[order] = np.arange(len(people))
    person = rank[person]
    people = people.take(pa.array(order))
    for first in range(0, len(people), PEOPLE_AT_A_TIME):
        some = people[first : first + PEOPLE_AT_A_TIME]
        mine = (person >= first) & (person < first + len(some)) if len(people) > PEOPLE_AT_A_TIME else slice(None)
        cell = (person[mine] - first) * len(actions) + where[mine]
        sums = np.bincount(cell, weights=number[mine], minlength=len(some) * len(actions))
        yield some, sums.astype(np.int64).reshape(len(some), len(actions))


def _coded(column: pa.ChunkedArray) -> tuple[pa.Array, Integers]:
    """Give the distinct values and which of them each row has."""
    coded = column.combine_chunks().dictionary_encode()
    return coded.dictionary.cast(pa.string()), np.asarray(coded.indices, np.int64)


@dataclass(frozen=True)
class _Portraits:
    """Mean shares within the blocks: of each segment's people, of all others, of everyone; and how many people."""

    own: Floats
    others: Floats
    overall: Floats
    people: Integers


def _portraits(model: LatentClasses, profiles: pa.Table) -> _Portraits:
    size = (model.segment_count, len(model.blocks))
    sums, having, people = np.zeros(size), np.zeros(size), np.zeros(model.segment_count, np.int64)
    for _, counts in _count(profiles, model.blocks, model.actions):
        counts = counts[counts.sum(axis=1) >= MINIMUM_ACTIONS]
        tally = _Tally(counts, model.blocks)
        member = np.eye(model.segment_count)[model.predict(counts)]
        sums += member.T @ tally.shares
        having += member.T @ tally.has
        people += member.sum(axis=0).astype(np.int64)
    overall = (sums.sum(axis=0) + 1e-9) / (having.sum(axis=0) + 1e-9)
    return _Portraits(
        own=(sums + AVERAGE_PEOPLE * overall) / (having + AVERAGE_PEOPLE),
        others=(sums.sum(axis=0) - sums + AVERAGE_PEOPLE * overall) / (having.sum(axis=0) - having + AVERAGE_PEOPLE),
        overall=overall,
        people=people,
    )


@dataclass(frozen=True)
class _Telling:
    """An action that tells of a segment, and how strongly."""

    block: str
    action: str
    column: int
    strength: float
    numbers: str


def _tellings(model: LatentClasses, portraits: _Portraits) -> list[list[_Telling]]:
    """For each segment what tells of it, the strongest first: that with the greatest difference of roots of shares."""
    strength = np.sqrt(portraits.own) - np.sqrt(portraits.others)
    told = []
    for own, others, strong in zip(portraits.own, portraits.others, strength, strict=True):
        is_telling = (own >= NOTABLE_SHARE) & (own >= NOTABLE_LIFT * others)
        columns = [column for column in np.argsort(-strong, kind="stable").tolist() if is_telling[column]]
        told.append(
            [
                _Telling(
                    block=model.blocks[column],
                    action=model.actions[column],
                    column=column,
                    strength=float(strong[column]),
                    numbers=f"{own[column]:.0%}, others {others[column]:.0%}",
                )
                for column in columns
                if model.actions[column] != OTHER
            ]
        )
    return told


def _name(telling: Sequence[_Telling], *, taken: Sequence[str]) -> str:
    """Name a segment by two of its strongest actions from two blocks, the strongest pair that is not taken."""
    pairs: list[tuple[_Telling, ...]] = [
        (one, two) for place, one in enumerate(telling) for two in telling[place + 1 :] if one.block != two.block
    ]
    pairs.sort(key=lambda pair: -sum(one.strength for one in pair))
    for pair in [*pairs, *((one,) for one in telling)]:
        words = [WORDS.get(one.block, OTHER_WORDS)[1 + place].format(one.action) for place, one in enumerate(pair)]
        name = " ".join(words)
        name = name[0].upper() + name[1:]
        if name not in taken:
            return name
    return next(name for name in ("Everyone else", *(f"Others {n}" for n in range(1, 99))) if name not in taken)


def _id_number(name: str) -> int:
    return int(name.removeprefix("S"))
