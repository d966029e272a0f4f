"""Word weights against a plain reading of the paper, and on texts drawn from the paper's own model."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from src.research.scoring.weight_choice import Lessons, chosen_weights
from src.research.scoring.word_counts import WordCounts
from src.research.scoring.word_weights import learned, ranks, screened, sentiments, tone


def counts_of(dense):
    rows, columns = np.nonzero(dense)
    starts = np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=len(dense)))))
    return WordCounts(starts, columns.astype(np.int32), dense[rows, columns].astype(np.uint8), dense.shape[1])


def drawn(texts=4000, charged=60, neutral=300, length=40, noise=1.0, seed=0, instruments=20):
    """Counts and returns by the model of section 2.1, and the true topics."""
    random = np.random.default_rng(seed)
    base = random.gamma(0.6, size=charged)
    lean = random.uniform(-0.9, 0.9, charged)
    good, bad = base * (1 + lean), base * (1 - lean)
    good, bad = good / good.sum(), bad / bad.sum()
    plain = random.gamma(0.6, size=neutral)
    p = random.uniform(size=texts)
    sizes = random.poisson(length * 0.3, texts)
    dense = np.zeros((texts, charged + neutral), dtype=int)
    for row in range(texts):
        dense[row, :charged] = random.multinomial(sizes[row], p[row] * good + (1 - p[row]) * bad)
        dense[row, charged:] = random.multinomial(length, plain / plain.sum())
    returns = (p - 0.5) * np.sqrt(12) + noise * random.normal(size=texts)
    return dense, returns, p, good, bad


@pytest.fixture(scope="module")
def world():
    return drawn()


def test_counts_of_some_texts_and_words_are_those_of_the_matrix(monkeypatch):
    random = np.random.default_rng(1)
    dense = random.poisson(0.3, (50, 30))
    dense[7] = 0
    for size in (4_000_000, 3):
        monkeypatch.setattr("src.research.scoring.word_counts._AT_ONCE", size)
        counts = counts_of(dense)
        mask, words = random.random(50) < 0.5, np.array([0, 3, 4, 29])
        part = counts.of_texts(mask).of_words(words)
        expected = dense[mask][:, words]
        assert part.texts == mask.sum()
        assert part.used().tolist() == (expected > 0).sum(axis=0).tolist()
        assert part.sums().tolist() == expected.sum(axis=1).tolist()
        assert counts.used(mask).tolist() == (dense[mask] > 0).sum(axis=0).tolist()
        weights = random.normal(size=50)
        assert counts.totals(weights) == pytest.approx(weights @ dense)
        assert counts.of_texts(slice(5, 9)).sums().tolist() == dense[5:9].sum(axis=1).tolist()


def test_screening_takes_the_words_whose_share_of_good_texts_is_furthest(world):
    dense, returns, *_ = world
    good, used = returns > 0, (dense > 0).sum(axis=0)
    in_good = (dense[good] > 0).sum(axis=0)
    above, below = screened(used, in_good, float(good.mean()), 50, 12)
    shares = {j: in_good[j] / used[j] - good.mean() for j in range(dense.shape[1]) if used[j] >= 50}
    order = sorted(shares, key=lambda j: shares[j])
    assert above.tolist() == order[::-1][:12]
    assert below.tolist() == order[:12]


def test_topics_and_sentiments_are_those_of_a_plain_reading(world):
    dense, returns, *_ = (each[:400] for each in world)
    words = np.array([1, 5, 9, 14, 22, 41, 80, 200])
    got = learned(counts_of(dense), returns, words, 2.0)
    d = dense[:, words].astype(float)
    some = d.sum(axis=1) > 0
    shares = d[some] / d[some].sum(axis=1, keepdims=True)
    p = (np.argsort(np.argsort(returns)) + 1)[some] / len(returns)
    w = np.stack([p, 1 - p])
    topic = np.maximum(shares.T @ w.T @ np.linalg.inv(w @ w.T), 0)
    topic /= topic.sum(axis=0)
    assert got.good == pytest.approx(topic[:, 0], abs=1e-12)
    assert got.bad == pytest.approx(topic[:, 1], abs=1e-12)
    found = sentiments(counts_of(dense), got)
    for row in (0, 3, 50, *np.flatnonzero(some)[-3:]):

        def objective(x, row=row):
            total = d[row].sum()
            return -(d[row] @ np.log(x * topic[:, 0] + (1 - x) * topic[:, 1]) / total + 2.0 * np.log(x * (1 - x)))

        expected = minimize_scalar(objective, bounds=(0, 1), method="bounded", options={"xatol": 1e-10}).x
        assert found[row] == pytest.approx(expected if some[row] else 0.5, abs=1e-6)
    assert np.all(found[~some] == 0.5)


@pytest.mark.parametrize("shrinkage", [1e-4, 0.5, 20.0])
def test_the_slope_is_zero_at_a_sentiment_even_with_little_shrinkage(world, shrinkage):
    dense, returns, *_ = (each[:800] for each in world)
    weights = learned(counts_of(dense), returns, np.arange(40), shrinkage)
    p = sentiments(counts_of(dense), weights)
    d = dense[:, weights.words]
    some = d.sum(axis=1) > 0
    mixed = np.outer(p, weights.good) + np.outer(1 - p, weights.bad)
    slope = (d * (weights.good - weights.bad) / mixed).sum(axis=1)[some] / d[some].sum(axis=1)
    slope += shrinkage * (1 / p[some] - 1 / (1 - p[some]))
    assert np.all((p > 0) & (p < 1))
    assert np.abs(slope).max() < 1e-5


def test_topics_of_drawn_texts_are_found(world):
    dense, returns, p, good, bad = world
    words = np.arange(good.size)
    got = learned(counts_of(dense), returns, words, 1.0)
    assert np.corrcoef(got.good, good[got.words])[0, 1] > 0.95
    assert np.corrcoef(got.bad, bad[got.words])[0, 1] > 0.95
    assert np.corrcoef(got.good - got.bad, (good - bad)[got.words])[0, 1] > 0.9
    assert np.corrcoef(sentiments(counts_of(dense), got), p)[0, 1] > 0.7


def lessons_of(dense, returns, instruments=20):
    n = len(returns)
    when = np.arange(n, dtype=np.int64) * 10
    rest = (returns, when, when + 25, np.arange(n, dtype=np.int64) % instruments)
    return Lessons(counts_of(dense), np.ones(n, dtype=bool), *rest)


def test_the_chosen_words_are_the_charged_ones_and_their_tone_tells_of_texts_unseen(world):
    dense, returns, p, good, _ = world
    chosen = chosen_weights(lessons_of(dense[:3000], returns[:3000]))
    assert chosen.loss < chosen.loss_of_half
    lean = np.abs(chosen.weights.good - chosen.weights.bad)
    top = chosen.weights.words[np.argsort(-lean)][:20]
    assert np.mean(top < good.size) > 0.9
    unseen = counts_of(dense[3000:])
    assert np.corrcoef(tone(sentiments(unseen, chosen.weights)), p[3000:])[0, 1] > 0.5


def test_a_word_said_of_one_company_alone_gets_no_weight(world):
    dense, returns, *_ = (each[:1500] for each in world)
    instrument = np.arange(1500) % 20
    returns = returns + 2.0 * (instrument == 3)
    named = np.where(instrument == 3, 2, 0)[:, None]
    lessons = lessons_of(np.hstack([dense, named]), returns)
    assert dense.shape[1] not in chosen_weights(lessons).weights.words
    shared = np.where((instrument == 3) | (np.random.default_rng(0).random(1500) < 0.01), 2, 0)[:, None]
    assert dense.shape[1] in chosen_weights(lessons_of(np.hstack([dense, shared]), returns)).weights.words


@pytest.mark.parametrize("quantile", [0.0, 0.5, 0.86])
def test_words_of_fewer_than_five_texts_change_nothing(world, monkeypatch, quantile):
    """A word that only later texts use often is among the words of a longer history alone."""
    monkeypatch.setattr("src.research.scoring.weight_choice.QUANTILES", (quantile, quantile))
    dense, returns, *_ = (each[:900] for each in world)
    rare = np.zeros((900, 200), dtype=int)
    random = np.random.default_rng(0)
    for column in range(200):
        rare[random.choice(900, 1 + column % 4, replace=False), column] = 1
    plain, longer = (chosen_weights(lessons_of(each, returns)) for each in (dense, np.hstack([dense, rare])))
    assert plain.least == longer.least
    assert plain.loss == longer.loss
    assert np.array_equal(plain.weights.words, longer.weights.words)
    assert np.array_equal(plain.weights.good, longer.weights.good)


def test_the_later_part_is_no_part_of_what_its_settings_are_judged_on(world, monkeypatch):
    """Texts whose return was not complete when the first of the later texts became known are left out."""
    from src.research.scoring import weight_choice

    dense, returns, *_ = (each[:300] for each in world)
    seen = []
    true = weight_choice._Screening.of.__func__
    of = classmethod(lambda cls, lessons: (seen.append(lessons), true(cls, lessons))[1])
    monkeypatch.setattr(weight_choice._Screening, "of", of)
    chosen_weights(lessons_of(dense, returns))
    earlier, every = seen
    assert every.returns.size == 300
    assert earlier.complete.max() <= 200 * 10 < earlier.complete.max() + 10


def test_returns_without_words_give_no_weights():
    dense = np.zeros((50, 4), dtype=int)
    assert chosen_weights(lessons_of(dense, np.ones(50))) is None
    dense[:, 1] = 1
    assert chosen_weights(lessons_of(dense, np.ones(50))) is None


def test_ranks_of_equal_returns_are_equal():
    assert ranks(np.array([3.0, 1.0, 1.0, -2.0])).tolist() == [1.0, 0.625, 0.625, 0.25]
