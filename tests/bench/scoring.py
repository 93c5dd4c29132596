"""What scoring people costs beside the fitted pipeline alone on a frame made ready for it."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from ml import propensity
from tests.ml import replicates

REASONED = 100_000


def _best(work: Callable[[], Any], times: int = 2) -> float:
    """Seconds of the quickest of some runs."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def bench(people_count: int = 1_000_000) -> list[dict[str, Any]]:
    """Time scoring by each learner, from an Arrow table to chances.

    Returns
    -------
    list of dict
        ``work, size, candidate, seconds, ratio_to_floor, peak_mb``; the floor is the fitted pipeline's
        ``predict_proba`` on the prepared frame, of the same learner.
    """
    schema = replicates.SCHEMA
    history, _ = replicates.draw(1)
    drawn = np.random.default_rng(0).integers(0, history.num_rows, people_count)
    people = history.take(pa.array(drawn)).combine_chunks()
    known = propensity._data(history, schema=schema)
    learners = {"logistic regression": propensity._logistic(0.1), "boosted trees": propensity._trees(8, 80, 0)}
    rows: list[dict[str, Any]] = []

    def note(candidate: str, size: int, seconds: float, floor: float) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append(
            {
                "work": "scoring",
                "size": size,
                "candidate": candidate,
                "seconds": round(seconds, 3),
                "ratio_to_floor": round(seconds / floor, 2),
                "peak_mb": round(peak),
            }
        )

    for learner, model in learners.items():
        pipeline = propensity._pipeline(schema, known.frame, bends=learner == "logistic regression", model=model)
        with propensity._ties_allowed():
            pipeline.fit(known.frame, known.labels)
        scoring = _best(partial(propensity.predict, pipeline, people, schema=schema))
        floor = _best(partial(pipeline.predict_proba, propensity.prepare(people, schema=schema)))
        note(f"floor: {learner} on the prepared frame", people_count, floor, floor)
        note(f"{learner}, from an Arrow table to chances", people_count, scoring, floor)
        background = propensity._background(pipeline, known, schema)
        telling = partial(propensity.reasons, schema=schema, background=background, words={})
        note(
            f"{learner}, three reasons in words",
            REASONED,
            _best(partial(telling, pipeline, people.slice(0, REASONED)), times=1),
            floor * REASONED / people_count,
        )
    return rows
