"""Why VADER is no default: what it says of plain headlines, and of texts whose words go with returns."""

import numpy as np
import polars as pl
import pytest
from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from src.config.research_sections import ScoringSection
from src.research.scoring import text_pieces
from src.research.scoring.corpus import corpus
from tests.benchmarks import study_tone
from tests.research.scoring.case import COMPANIES, Documents, bar_rows, bar_store, by_entity, moment, text

SYMBOLS = [f"S{k:02d}" for k in range(12)]
GOOD = [
    "beats",
    "raises",
    "upgrade",
    "buyback",
    "exceeds",
    "approval",
    "expansion",
    "backlog",
    "reiterates",
    "outperform",
]
BAD = ["misses", "cuts", "downgrade", "probe", "recall", "bankruptcy", "plunge", "restatement", "covenant", "default"]
PLAIN = [
    "company",
    "quarter",
    "results",
    "analyst",
    "market",
    "year",
    "report",
    "chief",
    "sales",
    "unit",
    "plan",
    "board",
    "product",
    "group",
    "update",
]


@pytest.mark.parametrize(
    ("headline", "compound"),
    [
        ("Shares plunge after accounting probe", 0.296),  # "shares" is read as sharing
        ("Bankruptcy filing", 0.0),
        ("Company files for bankruptcy", 0.0),
        ("Company to restate earnings", 0.0),
        ("Downgrade to sell", 0.0),
        ("Shares slump to record low", 0.0258),
        ("Shares halted pending news", 0.296),
        ("Loss narrows sharply", -0.3182),
    ],
)
def test_what_it_says_of_headlines(headline, compound):
    """Its words are those of social media: a plunge and a probe weigh nothing, and a narrower loss is bad news."""
    found = SentimentIntensityAnalyzer().polarity_scores(headline)["compound"]
    assert found == pytest.approx(compound, abs=0.002)


def test_learned_weights_order_returns_better_where_words_go_with_them(tmp_path, monkeypatch):
    monkeypatch.setattr(text_pieces, "mentions", by_entity)
    random = np.random.default_rng(2)
    bars = [bar_rows(s, 50 * np.exp(np.cumsum(0.02 * random.normal(size=330)))) for s in SYMBOLS]
    days, rows = bars[0]["date"].to_list(), []
    for n, k in enumerate(np.sort(random.integers(1, 326, 1200))):
        which = int(random.integers(12))
        feeling = (bars[which]["open"][int(k) + 2] / bars[which]["open"][int(k) + 1] - 1) / 0.02 + random.normal()
        side = GOOD if random.random() < 1 / (1 + np.exp(-2 * feeling)) else BAD
        said = " ".join([*random.choice(PLAIN, 6), *random.choice(side, 3)])
        rows.append(text(SYMBOLS[which], moment(days[int(k)], 15, n % 60), said, n=n))
    store = bar_store(tmp_path, bars, [("stock", s) for s in SYMBOLS])

    def read(tones):
        return corpus(text_pieces.pieces(Documents(rows), COMPANIES, 0.7, None, with_words=tones is None), tones)

    settings = ScoringSection(refit_months=3, min_documents=150)
    table = study_tone.compared(read, store, settings, {"vader": study_tone.vader})
    quarters = study_tone.by_quarter(table, ["learned", "vader"])
    assert quarters["quarter"].to_list() == ["2019 Q2", "2019 Q3", "2019 Q4", "2020 Q1", "2020 Q2"]
    assert quarters["texts"].sum() == table.height > 800
    less = (quarters["learned"] - quarters["vader"]).to_numpy()
    assert np.mean(less) > 2 * study_tone.error(less) > 0
    assert quarters["learned"].mean() > 0.6
    said = []
    monkeypatch.setattr(study_tone, "say", said.append)
    study_tone.say_results(table, ["learned", "vader"])
    assert len(said) == 1 + 5 + 3
    assert said[-1].startswith("  learned less vader: +0.")
    assert isinstance(table, pl.DataFrame)
