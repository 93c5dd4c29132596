"""Friction: where people stall, whom it hits, and what it costs.

Two questions are asked of every journey, for each week and for all weeks together.

*Rules.* Attempts that met a signal (an error, a long wait …) at a touchpoint of a stage are compared with matched
ones: those that went on from the same stage after as many steps, without it. Both had got that far and both made
another move, so that nobody is counted as spared who had left before the signal could reach them, and nobody as hit
because they lived long enough to be. Where going on without the signal may mean no more than to convert (going back,
coming back, waiting), more must be lost than of all others who came to the stage as well: both must hold.

*Comparison.* Of every cohort (a value of an app version, os, device, browser, country or campaign, or of two of them)
it is asked whether more of its attempts were lost at a place than matched ones elsewhere in the same week, and than its
own in the weeks before; both must hold. Of all attempts together it is asked of the last touch before a loss,
against the weeks before.

Losses are counted on attempts whose window has passed, so that none is open. What a cohort loses at one place it may no
longer lose at another: its extra losses are never more than it lost in all above what is expected.

The parts, each of which uses only those before it: ``chances``, ``journey``, ``points``, ``rules``, ``cohorts``,
``ranking``, ``evidence``.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ml.friction.cohorts import ask_cohorts
from ml.friction.evidence import PLACE, POINTS, tell
from ml.friction.journey import Journey
from ml.friction.points import control
from ml.friction.ranking import choose
from ml.friction.rules import ask_rules


def find_friction(
    attempts: pa.Table, steps: pa.Table, *, journeys: pa.Table, stages: pa.Table, playbooks: pa.Table
) -> pa.Table:
    """Find where journeys lose more than they should, whom it hits, and what that is worth.

    Parameters
    ----------
    attempts : pyarrow.Table
        One row per attempt whose window has passed: ``attempt_id, journey, week_start_date, started_on`` (dates),
        ``first_channel, is_lost`` and what is known of it: ``os, app_version, device_type, browser, country, campaign``
        (null where nobody said).
    steps : pyarrow.Table
        One row per step: ``attempt_id, step_number, stage_order, touchpoint``; ``step_kind`` (``touch``; ``company``
        where the company alone acted; ``end`` for what ended the attempt and nothing else); ``waited_hours`` since the
        touch before; ``hours_left`` of the attempt's window; ``hours_to_success`` of those that converted, else null;
        ``friction_signals``, names separated by ``|``, of which ``support contact`` stands with the step before the
        contact. Long waits and drop-off are found here.
    journeys : pyarrow.Table
        ``journey, value_amount, value_currency`` (what a conversion is worth; null where that is unknown), ``owner``.
    stages : pyarrow.Table
        ``journey, stage_order, stage``.
    playbooks : pyarrow.Table
        ``playbook_id, journey, stage, touchpoint, signal, cohort_dimension, likely_cause, recommendation,
        expected_recovery_low, expected_recovery_high, basis, owner``; ``*`` means any. The line that names most wins.

    Returns
    -------
    pyarrow.Table
        Of schema ``POINTS``, one row per journey, week (a Monday, or ``all``), stage, touchpoint, signal and cohort.
        Counts and extra losses are of attempts. Points share attempts: their values must not be added.

    Notes
    -----
    P-values are upper tails of beta-binomials, in which what is expected is as uncertain as its reference is small;
    intervals are Newcombe's for a difference of rates (1998, method 10). False discoveries are held at 5 % after
    Benjamini and Hochberg (1995), in one family for all comparisons and in one for all rules, over all journeys and
    weeks. The cohort with the greatest likelihood ratio is taken first (Kulldorff 1997), and the others are looked at
    again without its attempts (Zhang, Assunção and Kulldorff 2010): what it explains is not ranked a second time.
    """
    names = sorted(set(attempts["journey"].to_pylist()))
    found = [Journey.read(attempts, steps, journey=name) for name in names]
    cohort_tests = [ask_cohorts(one) for one in found]
    rule_tests = [ask_rules(one) for one in found]
    control(cohort_tests)
    control(rule_tests)
    values = {row["journey"]: row for row in journeys.to_pylist()}
    named = {(row["journey"], row["stage_order"]): row["stage"] for row in stages.to_pylist()}
    plays = sorted(playbooks.to_pylist(), key=lambda play: str(play["playbook_id"]))
    rows: list[dict[str, Any]] = []
    for one, by_cohort, by_rule in zip(found, cohort_tests, rule_tests, strict=True):
        points = choose(one, by_cohort, by_rule)
        rows += tell(one, points, cohorts=by_cohort.cohorts, value=values.get(one.name, {}), stages=named, plays=plays)
    rows.sort(key=lambda row: tuple(str(row[key]) for key in ("journey", "week", "stage_order", *PLACE)))
    return pa.Table.from_pylist(rows, schema=POINTS)
