"""What chance alone makes of counts: rates drawn to others, tails, intervals and likelihoods."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, gammaln

from ml.evaluation import Z

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

# A group weighs as much as its parent at this many attempts.
PRIOR_ATTEMPTS = 20
# Below so many standard deviations a test cannot reach the level of false discoveries; it counts as p = 1.
_HOPELESS = 2.0


def drawn(hits: Any, tries: Any, parent: Any) -> Floats:
    """A rate drawn to its parent's as if there were a few attempts more of it."""
    rate: Floats = (hits + PRIOR_ATTEMPTS * parent) / (tries + PRIOR_ATTEMPTS)
    return rate


def upper_tail(hits: Any, tries: Any, rate: Any, weight: Any) -> Floats:
    """Chance of so many hits or more, the rate being a beta of that mean and the weight of so many attempts."""
    shape = np.broadcast_shapes(np.shape(hits), np.shape(tries), np.shape(rate), np.shape(weight))
    hits, tries, rate, weight = (np.broadcast_to(x, shape).astype(float).ravel() for x in (hits, tries, rate, weight))
    result = np.ones(len(hits))
    spread = np.sqrt(np.maximum(tries * rate * (1 - rate) * (1 + tries / np.maximum(weight, 1)), 1e-12))
    asked = np.flatnonzero((hits > tries * rate + _HOPELESS * spread) & (tries > 0))
    for part in np.array_split(asked, max(1, len(asked) // 5_000)):
        result[part] = _tail(
            hits[part], tries[part], rate[part] * weight[part], (1 - rate[part]) * weight[part], reach=spread[part]
        )
    return result.reshape(shape)


def _tail(hits: Floats, tries: Floats, successes: Floats, failures: Floats, *, reach: Floats) -> Floats:
    """Upper tails of beta-binomials with Jeffreys' half added to the two counts of the reference.

    Summed over twelve standard deviations (``reach``); all lie above the mean, where what is further has no weight.
    """
    alpha, beta = successes + 0.5, np.maximum(failures, 0) + 0.5
    counts = np.minimum(tries - hits, 12 * reach + 50).astype(np.int64) + 1
    owner = np.repeat(np.arange(len(hits)), counts)
    within = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    k, n, a, b = hits[owner] + within, tries[owner], alpha[owner], beta[owner]
    log = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + betaln(k + a, n - k + b) - betaln(a, b)
    return np.minimum(1.0, np.bincount(owner, weights=np.exp(log), minlength=len(hits)))


def _wilson(rate: Floats | float, tries: Floats | float) -> tuple[Any, Any]:
    """Wilson's limits (1927) of a rate, of tries that need not be whole."""
    tries = np.maximum(tries, 1e-9)
    centre = (rate + Z**2 / (2 * tries)) / (1 + Z**2 / tries)
    half = Z / (1 + Z**2 / tries) * np.sqrt(np.maximum(rate * (1 - rate) / tries + Z**2 / (4 * tries**2), 0))
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def extra_losses(lost: float, tries: float, rate: float, weight: float) -> tuple[float, float, float]:
    """Losses above what is expected, with Newcombe's interval (1998, method 10)."""
    if not tries:
        return 0.0, 0.0, 0.0
    seen = lost / tries
    seen_low, seen_high = _wilson(seen, tries)
    rate_low, rate_high = _wilson(rate, weight)
    low = seen - rate - np.sqrt((seen - seen_low) ** 2 + (rate_high - rate) ** 2)
    high = seen - rate + np.sqrt((seen_high - seen) ** 2 + (rate - rate_low) ** 2)
    return float(tries * (seen - rate)), float(tries * low), float(tries * high)


def least(*intervals: tuple[float, float, float]) -> tuple[float, float, float]:
    """Take the least of several losses, and of either limit."""
    first, low, high = (min(ends) for ends in zip(*intervals, strict=True))
    return first, low, high


def likelihood_ratio(hits: float, tries: float, rate: float, weight: float) -> float:
    """Log likelihood ratio of the seen rate against the expected one, which is never taken for impossible."""
    expected = tries * (rate * weight + 0.5) / (weight + 1)
    rest = tries - hits
    first = hits * np.log(hits / expected) if hits else 0.0
    second = rest * np.log(rest / (tries - expected)) if rest else 0.0
    return float(first + second)
