"""Scores of stored texts: dated by what was known, each text once, with the model that gave them."""

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest

from src.config.research_sections import ScoringSection
from src.core.errors import ConfigError
from src.documents.document import Document
from src.documents.document_store import DocumentStore
from src.documents.facts import CHANNELS, schema
from src.market.bars import BarStore
from src.research.links import companies, mentions
from src.research.scoring import extracted_texts, text_pieces
from src.research.scoring.corpus import corpus
from src.research.scoring.extracted_texts import ExtractedTexts
from src.research.scoring.refits import refit_dates
from src.research.scoring.text_scores import text_scores
from tests.research.scoring.case import COMPANIES, Documents, bar_rows, bar_store, by_entity, moment, text

SYMBOLS = [f"S{k:02d}" for k in range(12)]
PANEL = [("stock", symbol) for symbol in SYMBOLS[:8]]
SETTINGS = ScoringSection(refit_months=3, min_documents=150)
RISES, FALLS = [f"gain{c}" for c in "abcdefghijklmnop"], [f"drop{c}" for c in "abcdefghijklmnop"]
PLAIN = [f"plain{a}{b}" for a in "abcdefgh" for b in "abcdefgh"]


@pytest.fixture(autouse=True)
def linked_by_entity(monkeypatch):
    monkeypatch.setattr(text_pieces, "mentions", by_entity)


def make_world(sessions=330, seed=3):
    """Bars, and texts whose words tell of the return after them."""
    random = np.random.default_rng(seed)
    bars = [bar_rows(s, 50 * np.exp(np.cumsum(0.02 * random.normal(size=sessions)))) for s in SYMBOLS]
    days = bars[0]["date"].to_list()
    rows = []
    for n, k in enumerate(np.sort(random.integers(1, sessions - 3, 1000))):
        which = int(random.integers(len(SYMBOLS)))
        opens = bars[which]["open"]
        feeling = (opens[int(k) + 2] / opens[int(k) + 1] - 1) / 0.02 + 0.5 * random.normal()
        optimism = 1 / (1 + np.exp(-2 * feeling))
        words = [*random.choice(PLAIN, 8), *random.choice(RISES if random.random() < optimism else FALLS, 3)]
        hour = int(random.integers(13, 21))
        rows.append(text(SYMBOLS[which], moment(days[int(k)], hour, n % 60), " ".join(words), n=n))
    return pl.concat(bars), rows


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    bars, rows = make_world()
    return bars, rows, bar_store(tmp_path_factory.mktemp("bars"), bars, PANEL)


def scored(rows, store, settings=SETTINGS, **more):
    return text_scores(Documents(rows), COMPANIES, store, settings, 0.7, **more)


@pytest.fixture(scope="module")
def whole(world):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_pieces, "mentions", by_entity)
        return scored(world[1], world[2])


def test_scores_have_the_columns_of_their_kind_and_tell_of_the_returns(world, whole):
    bars, rows, _ = world
    assert whole.schema == pl.Schema(schema("text_scores"))
    assert whole.height == len(rows)
    assert whole.select(pl.col("tone").drop_nulls().abs().max()).item() < 1
    assert set(whole["channel"]) == {float(CHANNELS["article"])}
    days = bars.filter(symbol="S00")["date"].to_list()
    first = dt.datetime(2019, 4, 1, tzinfo=dt.UTC)
    assert whole.filter(pl.col("known") < first)["tone"].null_count() == whole.filter(pl.col("known") < first).height
    opens = {(s, d): o for s, d, o in bars.select("symbol", "date", "open").rows()}
    late = whole.filter(pl.col("known") >= first)
    assert late["tone"].null_count() == 0
    pairs = []
    for symbol, known, tone in late.select("symbol", "known", "tone").rows():
        k = days.index(known.date())
        pairs.append((tone, opens[symbol, days[k + 2]] / opens[symbol, days[k + 1]] - 1))
    tones, returns = np.array(pairs).T
    before_close = np.array([known.hour < 20 for known in late["known"]])
    assert np.corrcoef(tones[before_close], returns[before_close])[0, 1] > 0.3


def test_the_day_of_the_fit_is_the_last_fixed_date_before_the_text(whole):
    late = whole.filter(pl.col("fitted").is_not_null())
    dates = [dt.datetime(2019, 4, 1), dt.datetime(2019, 7, 1), dt.datetime(2019, 10, 1), dt.datetime(2020, 1, 1)]
    days = [(date - dt.datetime(1970, 1, 1)).days for date in [*dates, dt.datetime(2020, 4, 1)]]
    assert set(late["fitted"]) == set(map(float, days))
    for known, fitted in late.select("known", "fitted").rows():
        day = known.timestamp() / 86_400
        assert fitted == max(each for each in days if each <= day)


@pytest.mark.parametrize("seed", range(4))
def test_what_comes_later_changes_no_earlier_score(world, whole, tmp_path, seed):
    """Texts and bars after a random moment are removed, or are others, and earlier documents are revised after it."""
    bars, rows, _ = world
    random = np.random.default_rng(seed)
    cut = moment("2019-04-10") + dt.timedelta(days=int(random.integers(300)), hours=int(random.integers(24)))
    known = [row for row in rows if row["known"] <= cut]
    later = [row for row in rows if row["known"] > cut]
    complete = pl.col("date") < cut.date()
    if seed % 3 == 0:
        changed, others = bars.filter(complete), []
    else:
        noise = pl.Series(np.exp(random.normal(size=bars.height)))
        changed = bars.with_columns(open=pl.when(complete).then("open").otherwise(pl.col("open") * noise))
        bodies = random.permutation([row["body"].decode() + " neverbefore droppeda" for row in later])
        others = [row | {"body": body.encode()} for row, body in zip(later, bodies, strict=True)]
        others += [row | {"revision": 1, "known": cut + dt.timedelta(days=1), "body": b"other"} for row in known[::7]]
    got = scored([*known, *others], bar_store(tmp_path, changed, PANEL)).filter(pl.col("known") <= cut)
    assert got.equals(whole.filter(pl.col("known") <= cut))
    assert got["tone"].drop_nulls().len() > 100


def test_order_of_storage_changes_nothing(world, whole):
    _, rows, store = world
    shuffled = [rows[n] for n in np.random.default_rng(0).permutation(len(rows))]
    assert scored(shuffled, store).equals(whole)


def test_a_return_that_is_not_complete_at_the_fit_does_not_teach(world, whole, tmp_path):
    """The last prices before a fit are changed: the open of the fit's own day was not known at its midnight."""
    bars, rows, _ = world
    at_fit = pl.col("date") == dt.date(2019, 7, 1)
    changed = bars.with_columns(open=pl.when(at_fit).then(pl.col("open") * 3).otherwise("open"))
    part = pl.col("known").is_between(dt.datetime(2019, 7, 1, tzinfo=dt.UTC), dt.datetime(2019, 9, 30, tzinfo=dt.UTC))
    assert scored(rows, bar_store(tmp_path / "a", changed, PANEL)).filter(part).equals(whole.filter(part))
    before = pl.col("date") == dt.date(2019, 6, 28)
    changed = bars.with_columns(open=pl.when(before & (pl.col("symbol") == "S01")).then(200.0).otherwise("open"))
    assert not scored(rows, bar_store(tmp_path / "b", changed, PANEL)).filter(part).equals(whole.filter(part))


def test_a_move_of_the_whole_market_does_not_teach(world, whole, tmp_path):
    """A crash of all opens of one day alike turns the sign of every outright return, and of no excess return."""
    bars, rows, _ = world
    crash = pl.col("date") >= dt.date(2019, 3, 1)
    changed = bars.with_columns(factor=pl.when(crash).then(0.9).otherwise(pl.col("factor")))
    got = scored(rows, bar_store(tmp_path, changed, PANEL))
    both = got.join(whole, on="document").filter(pl.col("tone").is_not_null())
    assert np.corrcoef(both["tone"], both["tone_right"])[0, 1] > 0.98


def test_each_text_counts_once_for_an_instrument():
    at = moment("2024-03-04")
    later, hour = dt.timedelta(days=5), dt.timedelta(hours=1)
    title = "Acme Rises: 5% on Strong Orders"
    rows = [
        text("S00", at, "body one", title=title, n=0),
        text("S00", at + hour, "other body", title="ACME rises - 5% on “strong” orders", n=1),
        text("S01", at + 2 * hour, "for another company", title=title, n=2),
        text("S00", at + later, "said once more", title=title, n=3),
        text("S00", at + hour, "short title", title="Acme rises", n=4),
        text("S00", at + hour, "short title, other text", title="Acme rises", n=5),
        text("S00", at, "to the moon with this one", kind="post", n=6),
        text("S00", at + hour, "To the MOON with this one!", kind="post", n=7),
        text("S00", at + hour, "moon", kind="post", n=8),
        text("S00", at, "Item 2.02 results of operations", kind="8-K", title="8-K", n=9),
        text("S00", at, "Item 5.02 departure of a director", kind="8-K", title="8-K", n=10),
        text("S00", at, "a list of filings", kind="10-K", n=11),
        text("S00", at, "about no one", n=12, entity=""),
    ]
    got = corpus(text_pieces.pieces(Documents(rows), COMPANIES, 0.7))
    kept = sorted(int(each.rsplit("/", 1)[1]) for each in got.texts["id"])
    assert kept == [0, 2, 3, 4, 5, 6, 8, 9, 10]
    assert got.texts.filter(~pl.col("first"))["id"].to_list() == [rows[2]["id"]]
    assert got.links.select("symbol").to_series().to_list().count("S01") == 1
    assert got.texts.filter(pl.col("id") == rows[0]["id"])["words"].item() == 8


def test_two_filings_of_a_day_with_one_cover_page_are_two():
    at, cover = moment("2024-03-04"), "securities and exchange commission current report of acme " * 30
    said = [cover + "item 2.02", cover + "item 5.02", cover + "item 2.02"]
    rows = [text("S00", at, words, kind="8-K", title="8-K of Acme", n=n) for n, words in enumerate(said)]
    got = corpus(text_pieces.pieces(Documents(rows), COMPANIES, 0.7))
    assert [int(each.rsplit("/", 1)[1]) for each in got.texts["id"]] == [0, 1]


def test_a_link_below_the_confidence_asked_for_gives_no_score(world, monkeypatch):
    monkeypatch.setattr(text_pieces, "mentions", lambda *rest: by_entity(*rest).with_columns(confidence=pl.lit(0.5)))
    assert scored(world[1], world[2]).height == 0


def test_without_bars_texts_are_kept_and_have_no_tone(world, tmp_path):
    got = scored(world[1][:20], BarStore(tmp_path / "none"))
    assert got.height == 20
    assert got["tone"].null_count() == 20


def test_without_texts_there_are_no_scores(world):
    assert scored([], world[2]).schema == pl.Schema(schema("text_scores"))
    assert scored(world[1], world[2], ScoringSection(model="none")).height == 0


def test_the_record_names_the_model_its_version_and_its_fits(world, tmp_path):
    record = tmp_path / "facts" / "text_models.json"
    got = scored(world[1], world[2], record=record)
    said = json.loads(record.read_text(encoding="utf-8"))
    assert said["model"] == "learned"
    assert [fit["date"] for fit in said["fits"]] == [
        "2019-04-01",
        "2019-07-01",
        "2019-10-01",
        "2020-01-01",
        "2020-04-01",
    ]
    assert {word[:4] for word in said["fits"][-1]["positive"][:10]} == {"gain"}
    assert {word[:4] for word in said["fits"][-1]["negative"][:10]} == {"drop"}
    assert got["fitted"].n_unique() == 6
    scored(world[1], world[2], ScoringSection(refit_months=3, min_documents=151), record=record)
    assert json.loads(record.read_text(encoding="utf-8"))["version"] != said["version"]


def test_extracted_texts_are_kept_and_a_damaged_file_is_made_once_more(tmp_path, monkeypatch):
    body = b"<html><body><p>Item 2.02</p><p>gaina gainb dropc</p></body></html>"
    rows = [text("S00", moment("2024-03-04"), "", kind="8-K", n=n, body=body, content_hash="h") for n in (1, 2)]
    rows.append(text("S00", moment("2024-03-05"), "plain words"))
    store, calls, real = Documents(rows), [], extracted_texts._text
    monkeypatch.setattr(extracted_texts, "_text", lambda *rest: (calls.append(rest[1]), real(*rest))[1])
    for expected in (["8-K", "8-K", "article"], ["article"], ["8-K", "8-K", "article"]):
        calls.clear()
        found = ExtractedTexts(store, tmp_path).read("2024-03", store.table)
        assert found.to_list() == ["Item 2.02\ngaina gainb dropc"] * 2 + ["plain words"]
        assert calls == expected
        (kept,) = tmp_path.rglob("2024-03.parquet")
        if expected == ["article"]:
            kept.write_bytes(b"PAR1 cut off")
    other = tmp_path / "texts" / "other" / "2024-03.parquet"
    other.parent.mkdir()
    ExtractedTexts(store, tmp_path)
    assert not other.parent.exists()


def test_a_run_reads_new_documents_alone_and_ends_the_same(world, whole, tmp_path, monkeypatch):
    _, rows, store = world
    read = []
    monkeypatch.setattr(text_pieces, "mentions", lambda *rest: (read.append(rest[0].height), by_entity(*rest))[1])
    scored(rows[:650], store, state=tmp_path)
    assert sum(read) == 650
    read.clear()
    assert scored(rows, store, state=tmp_path).equals(whole)
    assert 350 <= sum(read) < 470  # and those of the month that goes on
    read.clear()
    assert scored(rows, store, state=tmp_path).equals(whole)
    assert read == []
    kept = sorted(tmp_path.rglob("*.parquet"))
    assert len(kept) == len({row["known"].strftime("%Y-%m") for row in rows})
    kept[0].write_bytes(b"PAR1 cut off")
    assert scored(rows, store, state=tmp_path).equals(whole)
    assert len(read) == 1
    read.clear()
    text_scores(Documents(rows), COMPANIES.with_columns(symbol=pl.lit("S01")), store, SETTINGS, 0.7, state=tmp_path)
    assert sum(read) == len(rows)  # other companies, other links
    assert len(list(tmp_path.rglob("*.parquet"))) == len(kept)


def test_dates_of_fits_are_those_of_the_calendar():
    at = dt.datetime(2019, 4, 1, tzinfo=dt.UTC)
    assert refit_dates(at, at, 3) == []
    assert refit_dates(at - dt.timedelta(seconds=1), at, 3) == [at]
    one, two = (
        refit_dates(at, dt.datetime(2024, 1, 5, tzinfo=dt.UTC), 7),
        refit_dates(at, dt.datetime(2029, 1, 5, tzinfo=dt.UTC), 7),
    )
    assert two[: len(one)] == one


def test_lists_and_folders_that_are_not_given_are_asked_for(world):
    for model in ("dictionary", "transformer"):
        with pytest.raises(ConfigError, match=f"research.scoring.model={model} needs research.scoring.{model}"):
            scored(world[1], world[2], ScoringSection(model=model))


def test_a_store_of_documents_is_scored_with_the_links_that_texts_themselves_give(world, tmp_path, monkeypatch):
    """The real store and the real links: an article that a source ties to a stock, and one whose text names it."""
    monkeypatch.setattr(text_pieces, "mentions", mentions)
    seen = moment("2024-03-05")
    store = DocumentStore(tmp_path / "documents", {"default": 1.0})
    store.append(
        [
            Document(
                "news",
                "a",
                "article",
                seen,
                b"gaina gainb",
                "feed",
                "stock:AAPL",
                "One",
                published=moment("2024-03-01"),
            ),
            Document("news", "b", "post", seen, b"buying $MSFT and $AAPL today", "feed"),
            Document("news", "c", "article", seen, b"on no company at all", "feed", title="Weather"),
            Document("news", "d", "10-K", seen, b"annual report", "feed", "stock:AAPL"),
        ]
    )
    store.append(
        [Document("news", "a", "article", seen + dt.timedelta(days=1), b"revised", "feed", "stock:AAPL", "One")]
    )
    store.seal()
    instruments = pl.DataFrame({"asset_class": "stock", "symbol": ["AAPL", "MSFT"]})
    got = text_scores(store, companies(store, instruments), world[2], SETTINGS, 0.7, tmp_path / "state")
    assert got.select("symbol", "document", "known").rows() == [
        ("AAPL", "news:a:0", moment("2024-03-01", 16)),
        ("AAPL", "news:b:0", seen),
        ("MSFT", "news:b:0", seen),
    ]
    assert got["backfilled"].to_list() == [True, False, False]
    assert got["channel"].to_list() == [CHANNELS["article"], CHANNELS["post"], CHANNELS["post"]]
    assert got["published"][0] == moment("2024-03-01").timestamp() / 86_400
    assert got["tone"].null_count() == 3
