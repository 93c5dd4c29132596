"""VADER as its authors print it: the sentences and compound scores of the vaderSentiment README."""

import pyarrow as pa
import pytest

from ml import sentiment
from ml.sentiment import score_messages

# "Output for the above example code", https://github.com/cjhutto/vaderSentiment (README.rst).
# Its emoji sentence is left out: it prints 0.7003, release 3.3.2 gives 0.875.
PUBLISHED = {
    "VADER is smart, handsome, and funny.": 0.8316,
    "VADER is smart, handsome, and funny!": 0.8439,
    "VADER is very smart, handsome, and funny.": 0.8545,
    "VADER is VERY SMART, handsome, and FUNNY.": 0.9227,
    "VADER is VERY SMART, handsome, and FUNNY!!!": 0.9342,
    "VADER is VERY SMART, uber handsome, and FRIGGIN FUNNY!!!": 0.9469,
    "VADER is not smart, handsome, nor funny.": -0.7424,
    "The book was good.": 0.4404,
    "At least it isn't a horrible book.": 0.431,
    "The book was only kind of good.": 0.3832,
    "The plot was good, but the characters are uncompelling and the dialog is not great.": -0.7042,
    "Today SUX!": -0.5461,
    "Today only kinda sux! But I'll get by, lol": 0.5249,
    "Make sure you :) or :D today!": 0.8633,
    "Not bad at all": 0.431,
}


@pytest.mark.parametrize(("text", "compound"), PUBLISHED.items())
def test_score_messages_gives_the_published_compound(text, compound):
    assert score_messages([text])["compound"].to_pylist() == [pytest.approx(compound, abs=5e-5)]


def test_score_messages_keeps_order_and_repeats():
    texts = ["Today SUX!", "The book was good.", "Today SUX!"]
    scored = score_messages(texts)
    assert scored.schema == sentiment.SCHEMA
    assert scored["compound"].to_pylist() == [-0.5461, 0.4404, -0.5461]
    assert scored["label"].to_pylist() == ["negative", "positive", "negative"]


@pytest.mark.parametrize(
    ("compound", "label"),
    [(0.05, "positive"), (0.0499, "neutral"), (0.0, "neutral"), (-0.0499, "neutral"), (-0.05, "negative")],
)
def test_labels_follow_the_published_thresholds(monkeypatch, compound, label):
    class Fixed:
        def polarity_scores(self, text):
            return {"compound": compound}

    monkeypatch.setattr(sentiment, "_analyzer", Fixed)
    assert score_messages(["anything"])["label"].to_pylist() == [label]


def test_silence_has_no_mood():
    scored = score_messages([None, "", " \n", "The invoice is attached."])
    assert scored["compound"].to_pylist() == [None, None, None, 0.0]
    assert scored["label"].to_pylist() == [None, None, None, "neutral"]
    assert score_messages([None]).to_pylist() == [{"compound": None, "label": None}]
    assert score_messages([]).num_rows == 0


def test_distinct_texts_are_scored_once(monkeypatch):
    calls = []

    class Counting:
        def polarity_scores(self, text):
            calls.append(text)
            return {"compound": 0.0}

    monkeypatch.setattr(sentiment, "_analyzer", Counting)
    score_messages(pa.chunked_array([["a", "b", "a"], ["b", None, "a"]]))
    assert sorted(calls) == ["a", "b"]
