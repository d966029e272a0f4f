"""Displaced scores keep everything of the run's own but what they knew."""

import numpy as np
import pytest

from src.evaluation.pooled.displacement import admissible_shifts, displacements, volatility_buckets


def world(days=300, names=80, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    volatility = np.sort(rng.random(names))[None] + rng.random((days, 1))
    return volatility.astype(np.float32), rng.random((days, names)) >= missing


def drawn(count=12, missing=0.0, **settings):
    volatility, scored = world(missing=missing)
    named = {"horizon": 5, "exclude": 30, "bars_per_year": 252.0, "seed": 3, **settings}
    return displacements(count, volatility, scored, **named), scored


def landed(displacement, scored):
    cells, found = np.zeros(scored.shape, np.int64), np.zeros(scored.shape, bool)
    for rows, chosen, known in displacement.sources(scored):
        cells[rows], found[rows] = chosen, known
    return cells, found


def test_a_draw_is_a_common_shift_in_time_and_one_permutation_of_names_for_all_days():
    draws, scored = drawn()
    for draw in draws:
        cells, found = landed(draw, scored)
        made, giver = np.divmod(cells, scored.shape[1])
        assert found.all()
        assert np.array_equal(made, np.repeat((np.arange(300) - draw.days)[:, None] % 300, 80, axis=1))
        assert (giver == giver[0]).all()
        assert sorted(giver[0]) == list(range(80))
        assert (giver[0] != np.arange(80)).all()


def test_names_change_places_within_their_bucket_of_volatility():
    draws, scored = drawn()
    buckets = volatility_buckets(world()[0], scored)
    assert np.bincount(buckets).tolist() == [20] * 4
    giver = landed(draws[0], scored)[0][0] % 80
    assert np.array_equal(buckets[giver], buckets)


def test_draws_differ_from_each_other_and_are_the_same_for_the_same_seed():
    draws, _ = drawn()
    more, _ = drawn(count=20)
    other, _ = drawn(seed=4)
    assert len({tuple(draw.order) for draw in draws}) == len(draws)
    assert all(np.array_equal(a.order, b.order) and a.days == b.days for a, b in zip(draws, more, strict=False))
    assert not np.array_equal(draws[0].order, other[0].order)


@pytest.mark.parametrize(("horizon", "exclude"), [(1, 126), (5, 30), (20, 126), (20, 0)])
def test_shifts_are_at_least_three_holding_periods_from_where_scores_were_made_either_way(horizon, exclude):
    n = 400
    allowed = admissible_shifts(n, horizon, exclude)
    assert allowed.start == 3 * horizon
    assert n - max(allowed) == max(3 * horizon, min(exclude, n // 4))
    draws, _ = drawn(count=200, horizon=horizon, exclude=exclude)
    assert {draw.days for draw in draws} <= set(admissible_shifts(300, horizon, exclude))


def test_too_few_days_have_no_draws():
    volatility, scored = world(days=100)
    assert displacements(5, volatility, scored, horizon=20, exclude=126, bars_per_year=252.0, seed=1) == []


def test_a_missing_giver_is_stood_in_for_by_another_name_of_the_same_day_and_never_by_the_receiver():
    draws, scored = drawn(missing=0.3)
    cells, found = landed(draws[0], scored)
    made, giver = np.divmod(cells, scored.shape[1])
    assert found.mean() > 0.99
    assert scored[made[found], giver[found]].all()
    own = (giver == np.arange(80)) & found
    assert own.mean() < 0.01


def test_turnover_of_displaced_scores_is_that_of_the_scores():
    draws, scored = drawn()
    scores = np.cumsum(np.random.default_rng(1).normal(size=scored.shape), axis=0)
    moved = scores.ravel()[landed(draws[0], scored)[0]]
    changes = np.abs(np.diff(moved, axis=0)).sum(axis=1)
    own = np.abs(np.diff(np.concatenate([scores, scores[:1]]), axis=0)).sum(axis=1)
    assert np.allclose(changes, np.roll(own, draws[0].days)[:-1])
