"""Mood of messages, by VADER.

VADER is a lexicon and a handful of grammatical rules (negation, boosters, capitals, "but"):
no training, no randomness, the same text always gets the same score.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

# The thresholds that VADER's authors publish for their compound score.
POSITIVE_FROM = 0.05
NEGATIVE_TO = -0.05
# A pasted log file must not hold up a night; nobody's mood changes after this much text.
MAX_CHARACTERS = 20_000

SCHEMA = pa.schema([("compound", pa.float64()), ("label", pa.string())])


@lru_cache(maxsize=1)
def _analyzer() -> SentimentIntensityAnalyzer:
    """Read the lexicon on first use: it takes a tenth of a second."""
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    return SentimentIntensityAnalyzer()


def score_messages(texts: pa.Array | pa.ChunkedArray | Sequence[str | None]) -> pa.Table:
    """Score the mood of messages.

    Each distinct text is scored once, so repeated canned replies cost nothing.

    Parameters
    ----------
    texts : pyarrow.Array, pyarrow.ChunkedArray or sequence of str or None
        Messages of any length; what follows the first 20,000 characters is not read.

    Returns
    -------
    pyarrow.Table
        One row per text, in order: ``compound`` in [-1, 1], and ``label``: ``positive`` from
        0.05, ``negative`` to -0.05, else ``neutral``. Both are null where a text is null or
        blank: silence has no mood.

    References
    ----------
    Hutto, C.J. & Gilbert, E.E. (2014). VADER: A Parsimonious Rule-based Model for Sentiment
    Analysis of Social Media Text. Eighth International Conference on Weblogs and Social Media
    (ICWSM-14). Ann Arbor, MI, June 2014.
    """
    messages: Any = texts if isinstance(texts, pa.Array | pa.ChunkedArray) else pa.array(texts, pa.string())
    if isinstance(messages, pa.ChunkedArray):
        messages = messages.combine_chunks()
    if len(messages) == 0 or messages.null_count == len(messages):
        return pa.Table.from_arrays([pa.nulls(len(messages), field.type) for field in SCHEMA], schema=SCHEMA)
    coded = messages if pa.types.is_dictionary(messages.type) else pc.dictionary_encode(messages)
    polarity = _analyzer().polarity_scores
    distinct = pa.array(
        [
            polarity(text[:MAX_CHARACTERS])["compound"] if text is not None and text.strip() else None
            for text in coded.dictionary.to_pylist()
        ],
        pa.float64(),
    )
    compound = distinct.take(coded.indices)
    return pa.Table.from_arrays([compound, _label(compound)], schema=SCHEMA)


def _label(compound: pa.DoubleArray) -> pa.StringArray:
    """Name the three moods by VADER's thresholds."""
    values = compound.to_numpy(zero_copy_only=False)
    label = np.select([values >= POSITIVE_FROM, values <= NEGATIVE_TO], ["positive", "negative"], "neutral")
    return pa.array(label, pa.string(), mask=np.isnan(values))
