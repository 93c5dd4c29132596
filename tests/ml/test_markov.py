"""Chains against hand-worked ones, a dense solve put together in another way, and redrawn attempts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from ml import markov
from ml.markov import CONVERTED, LOST, OPEN, Uncertainty, account, choose_order, fit, moves, success_intervals, what_if


def walked_by(paths: list[tuple[list[int], int]]) -> markov.Moves:
    """Attempts as their steps and what became of them."""
    steps = np.array([step for path, _ in paths for step in path], np.int64)
    attempts = np.repeat(np.arange(len(paths)), [len(path) for path, _ in paths])
    return moves(steps, attempts, np.array([status for _, status in paths]))


def told(
    paths: list[tuple[list[int], int]], *, persons: np.ndarray | None = None, company_steps: Sequence[int] = ()
) -> markov.Account:
    return account(
        np.array([step for path, _ in paths for step in path], np.int64),
        np.repeat(np.arange(len(paths)), [len(path) for path, _ in paths]),
        statuses=np.array([status for _, status in paths]),
        persons=np.arange(len(paths)) if persons is None else persons,
        draws=np.random.default_rng(1).permutation(len(paths)),
        company_steps=company_steps,
    )


def random_paths(seed: int, *, attempts: int = 300, is_open: float = 0.1) -> list[tuple[list[int], int]]:
    rng = np.random.default_rng(seed)
    paths = []
    for _ in range(attempts):
        path, step = [], int(rng.integers(0, 4))
        while rng.random() < 0.75:
            path.append(step)
            step = int(rng.choice([s for s in range(4) if s != step]))
        hope = 0.3 + 0.1 * len(set(path))
        status = OPEN if rng.random() < is_open else CONVERTED if rng.random() < hope else LOST
        paths.append((path, status))
    return paths


def test_three_states_by_hand() -> None:
    """Start goes to A (8 of 10) or B (2); A converts (2), is lost (2) or goes to B (4); B converts (3) or is lost (3).

    From B one in two converts, from A 2/8 + 4/8 * 1/2 = 1/2, from the start one in two. Steps from B 1, from A 1.5,
    from the start 1 + 0.8 * 1.5 + 0.2 = 2.4; visits of A 0.8 and of B 0.2 + 0.8 * 4/8 = 0.6.
    """
    a, b = 0, 1
    paths = [([a], CONVERTED)] * 2 + [([a], LOST)] * 2 + [([a, b], CONVERTED)] * 1 + [([a, b], LOST)] * 3
    paths += [([b], CONVERTED)] * 2
    chain = fit(walked_by(paths), order=1).chain
    assert chain.pasts.ravel().tolist() == [-1, a, b]
    assert chain.success == pytest.approx([0.5, 0.5, 0.5])
    assert chain.expected_steps == pytest.approx([2.4, 1.5, 1.0])
    assert chain.visits == pytest.approx([1.0, 0.8, 0.6])
    # Half of A's losses go where A's other moves go, one to converted for two to B: lost 1/8, converted 7/8 * 1/3 and
    # B 7/8 * 2/3, so from A 7/24 + 14/24 * 1/2 = 7/12, and from the start 0.8 * 7/12 + 0.2 * 1/2 = 17/30.
    fitted = fit(walked_by(paths), order=1)
    uncertainty = Uncertainty(fitted, walked_by(paths).attempts)
    better = what_if(fitted.chain, uncertainty, change="improve", step=a)
    assert better.after == pytest.approx(17 / 30)
    # Without A everybody begins with B; without B, A converts or loses, one to one.
    assert what_if(fitted.chain, uncertainty, change="remove", step=a).after == pytest.approx(0.5)
    assert what_if(fitted.chain, uncertainty, change="remove", step=b).after == pytest.approx(0.5)


def test_removing_and_improving_by_hand_where_it_matters() -> None:
    """Of 10, 6 go by the form (2 convert, 4 are lost), 4 by the shop (3 convert, 1 is lost): 50 % convert.

    Without the form 75 %. With half of its losses, 4/6 * 1/2 = 1/3 are lost there, so 0.6 * 2/3 + 0.4 * 3/4 = 70 %.
    """
    form, shop = 0, 1
    paths = [([form], CONVERTED)] * 2 + [([form], LOST)] * 4 + [([shop], CONVERTED)] * 3 + [([shop], LOST)]
    fitted = fit(walked_by(paths), order=1)
    uncertainty = Uncertainty(fitted, walked_by(paths).attempts)
    assert fitted.chain.conversion == pytest.approx(0.5)
    assert what_if(fitted.chain, uncertainty, change="remove", step=form).after == pytest.approx(0.75)
    better = what_if(fitted.chain, uncertainty, change="improve", step=form)
    assert better.after == pytest.approx(0.7)
    assert better.difference == pytest.approx(0.2)
    assert better.low < 0.2 < better.high


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_absorption_is_that_of_a_dense_solve(order: int, seed: int) -> None:
    """Transition shares counted in plain Python as fractions, the matrix inverted whole."""
    paths = random_paths(seed)
    counts: dict[tuple[int, ...], Counter[object]] = defaultdict(Counter)
    for path, status in paths:
        state = (-1,) * order
        for step in path:
            after = (step, *state[:-1])
            counts[state][after] += 1
            state = after
        if status != OPEN:
            counts[state]["won" if status == CONVERTED else "gone"] += 1
    # States from which nobody was seen to end are not states; moves to them say nothing.
    alive = {s for s in counts if counts[s]["won"] or counts[s]["gone"]}
    while more := {s for s in counts if s not in alive and any(to in alive for to in counts[s])}:
        alive |= more
    states = sorted(alive)
    shares = {}
    for state in states:
        kept = {to: n for to, n in counts[state].items() if n and (to in alive or to in ("won", "gone"))}
        shares[state] = {to: Fraction(n, sum(kept.values())) for to, n in kept.items()}
    inner = np.array([[float(shares[s].get(to, 0)) for to in states] for s in states])
    won = np.array([float(shares[s].get("won", 0)) for s in states])
    visits = np.linalg.inv(np.eye(len(states)) - inner)
    expected = {s: (float(v @ won), float(v.sum())) for s, v in zip(states, visits, strict=True)}
    chain = fit(walked_by(paths), order=order).chain
    found = {
        tuple(past): (success, steps)
        for past, success, steps in zip(chain.pasts.tolist(), chain.success, chain.expected_steps, strict=True)
    }
    assert found.keys() == expected.keys()
    for state, numbers in expected.items():
        assert found[state] == pytest.approx(numbers, rel=1e-9)


def test_what_open_attempts_have_not_done_yet_is_no_move() -> None:
    """Four ended attempts by A, half converted; two more stand at A and one at B, from which nobody came back."""
    paths = [([0], CONVERTED)] * 2 + [([0], LOST)] * 2 + [([0], OPEN)] * 2 + [([0, 1], OPEN)]
    walked = walked_by(paths)
    fitted = fit(walked, order=1)
    assert fitted.chain.conversion == pytest.approx(0.5)
    assert fitted.chain.pasts.ravel().tolist() == [-1, 0]
    assert fitted.cells.tolist().count(-1) == 1, "the move to B"
    with pytest.raises(ValueError, match="no attempt has ended"):
        fit(walked_by([([0], OPEN), ([1], OPEN)]), order=1)


def test_the_chain_of_ended_attempts_converts_as_they_did() -> None:
    """The maximum likelihood chain's flow is that of the attempts, whatever the order."""
    paths = random_paths(9, is_open=0)
    observed = np.mean([status == CONVERTED for _, status in paths])
    for order in (1, 2, 3):
        assert fit(walked_by(paths), order=order).chain.conversion == pytest.approx(observed, rel=1e-9)


def test_a_longer_memory_is_chosen_where_there_is_one_and_not_where_there_is_none() -> None:
    rng = np.random.default_rng(2)
    without, within = [], []
    for _ in range(1_500):
        free = rng.integers(0, 3, rng.geometric(0.3) - 1).tolist()
        without.append((free, CONVERTED if rng.random() < 0.5 else LOST))
        # Whoever came to C by way of A converts, by way of B hardly ever.
        first = int(rng.integers(0, 2))
        within.append(([first, 2], CONVERTED if rng.random() < (0.9 if first == 0 else 0.1) else LOST))
    draws = rng.permutation(1_500)
    assert choose_order(walked_by(without), draws=draws) == 1
    assert choose_order(walked_by(within), draws=draws) == 2


def test_a_share_of_independent_attempts_has_the_variance_of_a_share() -> None:
    """One step, 70 of 200 convert: p (1 - p) / n, with n - 1 for n persons; half of it where each comes twice alike."""
    paths = [([0], CONVERTED)] * 70 + [([0], LOST)] * 130
    walked = walked_by(paths)
    fitted = fit(walked, order=1)
    low, high = success_intervals(fitted.chain, Uncertainty(fitted, walked.attempts), states=np.array([1]))
    variance = 0.35 * 0.65 / 200 * 200 / 199
    draws = 0.35 * 0.65 / variance
    assert (low[0], high[0]) == pytest.approx(markov.wilson(0.35, draws))
    pairs = walked.attempts // 2
    twice_low, twice_high = success_intervals(fitted.chain, Uncertainty(fitted, pairs), states=np.array([1]))
    assert (twice_low[0], twice_high[0]) == pytest.approx(
        markov.wilson(0.35, 0.35 * 0.65 / (2 * 0.35 * 0.65 / 200 * 100 / 99))
    )


def test_wilsons_interval_is_the_published_one() -> None:
    """Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611."""
    assert markov.wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert markov.wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


@pytest.mark.parametrize("change", ["improve", "remove"])
@pytest.mark.parametrize("order", [1, 2])
def test_intervals_of_changes_are_as_wide_as_redrawing_persons_makes_them(change: str, order: int) -> None:
    """A bootstrap of 200 redrawn sets of persons, seed 5: standard errors agree within 15 %, its own noise being 5."""
    rng = np.random.default_rng(5)
    paths = random_paths(21, attempts=600)
    persons = np.sort(rng.integers(0, 200, len(paths)))
    walked = walked_by(paths)
    fitted = fit(walked, order=order)
    found = what_if(fitted.chain, Uncertainty(fitted, persons[walked.attempts]), change=change, step=1)
    by_person = [np.flatnonzero(persons == person) for person in range(200)]
    redrawn = []
    for _ in range(200):
        chosen = np.concatenate([by_person[person] for person in rng.integers(0, 200, 200)])
        again = fit(walked_by([paths[a] for a in chosen]), order=order)
        whose = Uncertainty(again, np.arange(len(again.cells)))
        redrawn.append(what_if(again.chain, whose, change=change, step=1).difference)
    width = (found.high - found.low) / 2 / 1.959963984540054
    assert width == pytest.approx(np.std(redrawn, ddof=1), rel=0.15)


def test_what_follows_what_is_counted_and_ranked() -> None:
    paths = [([0], CONVERTED)] * 40 + [([0, 1], LOST)] * 25 + [([1], LOST)] * 2 + [([1], OPEN)] * 5
    rows = {(row["step"], row["next"]): row for row in told(paths).next_steps}
    assert {key: row["transition_count"] for key, row in rows.items()} == {
        **{(-1, 0): 65, (-1, 1): 2, (0, -CONVERTED): 40, (0, 1): 25, (1, -LOST): 27}
    }
    assert (rows[-1, 0]["top_rank"], rows[-1, 1]["top_rank"]) == (1, 2)
    assert rows[0, -CONVERTED]["probability"] == pytest.approx(40 / 65)
    assert rows[1, -LOST]["top_rank"] is None, "27 went on from there"
    assert rows[1, -LOST]["probability_low"] < 1 == rows[1, -LOST]["probability_high"]


def test_open_attempts_are_no_part_of_the_account() -> None:
    """Who converts does so at once, who fails is lost late: half of those that stand at B are not seen to end yet."""
    whole = [([0], CONVERTED)] * 60 + [([0, 1], LOST)] * 60
    assert told(whole + [([0, 1], OPEN)] * 60) == told(whole)
    [start] = [row for row in told(whole).states if row["past"][0] == -1]
    assert start["observed_conversion_rate"] == start["chain_conversion_rate"] == pytest.approx(0.5)
    assert start["is_reproduced"]


def test_nothing_is_offered_where_the_chain_is_not_what_was_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As though it were fitted to attempts of which 50 more are lost: 50 of 200 convert, where 100 did."""
    paths = [([0], CONVERTED)] * 100 + [([0, 1], LOST)] * 100
    others = walked_by([([0], CONVERTED)] * 50 + [([0], LOST)] * 50 + [([0, 1], LOST)] * 100)
    monkeypatch.setattr(markov, "fit", lambda _, order: fit(others, order=order))
    found = told(paths)
    [start] = [row for row in found.states if row["past"][0] == -1]
    assert start["observed_conversion_rate"] == pytest.approx(0.5)
    assert start["chain_conversion_rate"] == pytest.approx(0.25)
    assert not start["is_reproduced"]
    assert found.what_ifs and not any(row["is_offered"] for row in found.what_ifs)
    assert all(row["conversion_after"] is None and "25.0% convert" in row["reason"] for row in found.what_ifs)


def test_a_step_that_nearly_all_conversions_come_by_is_not_thought_away() -> None:
    paths = [([0, 1], CONVERTED)] * 80 + [([0], LOST)] * 60 + [([2, 1], CONVERTED)] * 30 + [([2], CONVERTED)] * 5
    rows = {(row["change"], row["step"]): row for row in told(paths).what_ifs}
    assert not rows["remove", 1]["is_offered"]
    assert "5 came without this step" in rows["remove", 1]["reason"]
    assert rows["improve", 1]["is_offered"] and rows["improve", 1]["difference"] == pytest.approx(0)


def test_a_step_of_the_company_is_not_offered_and_the_rest_is_as_without_it() -> None:
    """The mail (1) lies on the way of half: whoever did not get it converts less."""
    paths = [([0, 1], CONVERTED)] * 60 + [([0, 1], LOST)] * 40 + [([0], CONVERTED)] * 40 + [([0], LOST)] * 60
    anybodys = {(row["change"], row["step"]): row for row in told(paths).what_ifs}
    rows = {(row["change"], row["step"]): row for row in told(paths, company_steps=[1]).what_ifs}
    assert anybodys["remove", 1]["is_offered"] and anybodys["improve", 1]["is_offered"]
    for change in ("remove", "improve"):
        assert not rows[change, 1]["is_offered"]
        assert rows[change, 1]["conversion_after"] is rows[change, 1]["difference"] is None
        assert "the company, not the customer, takes this step" in rows[change, 1]["reason"]
        assert rows[change, 0] == anybodys[change, 0]
    assert told(paths, company_steps=[1]).states == told(paths).states


def test_a_change_after_which_some_would_never_end_is_not_offered() -> None:
    """A and B lead to each other, and out of there only by C."""
    paths = [([0, 1, 0, 1, 2], CONVERTED)] * 40 + [([3], CONVERTED)] * 40 + [([3], LOST)] * 40
    fitted = fit(walked_by(paths), order=1)
    uncertainty = Uncertainty(fitted, walked_by(paths).attempts)
    with pytest.raises(ValueError, match="never come to an end"):
        what_if(fitted.chain, uncertainty, change="remove", step=2)


def test_fewer_than_thirty_whole_attempts_are_told_in_a_sentence() -> None:
    found = told([([0], CONVERTED)] * 29 + [([0], OPEN)] * 50)
    assert (found.states, found.next_steps, found.what_ifs) == ([], [], [])
    assert found.sentence == "The window of 29 attempts is over: too few."
