"""The part of the page on pooled models, read back from a session on disk."""

import dataclasses
import re

import polars as pl
import pytest

from src.reporting.formatting import DASH
from src.reporting.loading import passes_against_luck
from src.reporting.page import OF_INSTRUMENTS, SECTIONS, page
from src.reporting.pooled_loading import read_pooled
from src.reporting.pooled_section import pooled_section
from src.reporting.summary import summary
from src.reporting.summary_image import summary_image
from src.storage.atomic import write_parquet
from tests.reporting import pooled_case
from tests.reporting.synthetic import report_data
from tests.reporting.test_page import read

COMMANDS = {"instrument": "python -m src.train universe=demo", "pooled": "python -m src.train experiment=pooled"}


def shown(text):
    """The text of a page, without markup, scripts, styles and repeated spaces."""
    seen = re.sub(r"<(script|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    return re.sub(r"\s+", " ", " ".join(read(seen).text))


@pytest.fixture
def pooled(tmp_path):
    return read_pooled(pooled_case.lay_out(tmp_path), {"hydrate": pooled_case.hydrated()})


@pytest.fixture
def data(pooled):
    return report_data(pooled=pooled, train_commands=COMMANDS)


def test_the_page_shows_each_portfolio_with_its_verdict_and_what_speaks_against_it(data):
    text = shown(page(data))
    assert "stock.neutral · ensemble Passed all thresholds. Sharpe 0.58, t 1.4 after 66 trials: weak." in text
    assert (
        "etf.neutral · ensemble Failed, a near miss: auc 0.513 is below 0.520. Sharpe 0.55, t 3.4 after 66 trials."
        in text
    )
    assert "Survivors only: 0 of 40 names of class stock ended before the last date." in text
    assert "Borrowing is assumed to cost 50 bp a year." in text
    assert "Label neutral_20, eligibility liquid, portfolio neutral." in text


def test_a_portfolio_leads_to_its_tear_sheet_and_its_run(data):
    first, second = (each.row["record_id"] for each in data.pooled.portfolios)
    known = dataclasses.replace(data, sheets={first: "sheets/a%26b.html"}, run_pages={first: "http://host/#/1"})
    html = pooled_section(known)
    assert '<a href="sheets/a%26b.html">Tear sheet</a>, <a href="http://host/#/1">its run in MLflow</a>' in html
    assert html.count("Tear sheet") == 1 and second != first


def test_every_figure_stands_beside_what_it_is_compared_with(data):
    text = shown(page(data))
    assert "AUC 0.523 ≥ 0.52 clears low-volatility sort, untrained: 0.534" in text
    assert f"AUC 0.513 ≥ 0.52 misses low-volatility sort, untrained: {DASH}" in text
    assert "Sharpe ratio 0.58 ≥ 0.5 clears before costs: 0.81" in text
    for fact in ("luck rate 0.5%", "luck rate no draw passes", "p of the net return 0.030 (t 1.90)",
                 "p of the IC 0.010 (IC 0.021, t 2.40)", "trials 66, 65 of them before this recipe",
                 "break-even 17.20 bp", "capacity $12.3 million", "a day late AUC 0.521, Sharpe 0.49",
                 "exposure beta 0.01, volatility \u22120.05, traded volume 0.02"):  # fmt: skip
        assert fact in text, fact
    assert "2019 261 0.021 8.0% 5.5% 0.58 21" in text and "20 days 0.021 2.40 400" in text


def test_the_curve_is_the_compounded_net_return(data, pooled):
    daily = pooled.portfolios[0].daily
    end = 1.0
    for value in daily["net"]:
        end *= 1 + value
    assert f"1 became {end:.2f} net of costs" in page(data)


def test_the_first_line_stands_at_the_top_of_the_page_and_in_the_picture(data):
    text = shown(page(data))
    parts = [text.index(part) for part in (data.luck.sentence, "Pooled: 1 of 2 portfolios", "What to believe")]
    assert parts == sorted(parts)
    assert "Pooled: 1 of 2 portfolios passed" in summary_image(data)


def test_where_no_pooled_model_was_trained_the_command_is_named():
    text = shown(page(report_data(train_commands=COMMANDS)))
    assert f"No pooled model was trained: {COMMANDS['pooled']} trains one" in text
    assert "Pooled:" not in text


def test_where_pooled_models_alone_were_trained_the_other_part_is_one_sentence(pooled):
    nothing = passes_against_luck(report_data(pl.DataFrame()).grades)
    states = {"hydrate": pooled_case.hydrated()}
    empty = report_data(pl.DataFrame(), states=states, pooled=pooled, luck=nothing, groups=(), train_commands=COMMANDS)
    text = shown(page(empty))
    assert f"Train a model for each instrument, too: {COMMANDS['instrument']}" in text
    gone = [section.heading for section in SECTIONS if section.anchor in OF_INSTRUMENTS]
    assert len(gone) == len(OF_INSTRUMENTS) and not [heading for heading in gone if heading in text]
    assert "0 of 0 runs" not in text and summary_image(empty).startswith("<svg")


def test_families_of_one_portfolio_have_titles_that_differ(tmp_path):
    rows = [pooled_case.PASSING | {"family": name, "record_id": name} for name in ("lightgbm", "ridge")]
    found = read_pooled(pooled_case.lay_out(tmp_path, *rows), {})
    assert [each.title for each in found.portfolios] == ["stock.neutral lightgbm", "stock.neutral ridge"]


def test_what_is_missing_on_disk_is_left_out_and_no_undefined_value_is_shown(tmp_path):
    bare = {name: None for name in pooled_case.PASSING} | {
        "symbol": "stock.neutral", "family": "ridge", "record_id": "a", "passed": False, "n_oos": 900,
    }  # fmt: skip
    paths = pooled_case.paths(tmp_path)
    write_parquet(pl.DataFrame([bare], infer_schema_length=None), paths.portfolio_grades)
    text = shown(page(report_data(pooled=read_pooled(paths, {}))))
    assert "no daily returns stored" in text and "t unknown after an unknown number of trials: weak" in text
    assert not re.search(r"\b(nan|None|null|inf)\b(?! of)", text.partition("All settings")[0])


def test_a_table_without_a_column_of_the_verdict_is_refused(tmp_path):
    paths = pooled_case.lay_out(tmp_path)
    write_parquet(pl.read_parquet(paths.portfolio_grades).drop("weak"), paths.portfolio_grades)
    with pytest.raises(ValueError, match="pooled grades table lacks weak"):
        read_pooled(paths, {})


def test_an_edge_planted_across_stocks_is_found_or_missed_beside_the_models_of_one_stock(pooled):
    known = dataclasses.replace(pooled, settings=dict(pooled.settings) | {"source.simulated.pooled_edge": 0.04})
    text = shown(page(report_data(planted=20, pooled=known)))
    assert "The edge planted across these simulated stocks is found by the pooled models. Of 24 stocks without" in text
    failed = dataclasses.replace(known, portfolios=known.portfolios[1:])
    assert "is missed by the pooled models" in shown(page(report_data(planted=20, pooled=failed)))
    assert "edge planted across" not in shown(page(report_data(planted=20, pooled=pooled)))


def test_metrics_hold_the_figures_of_each_portfolio(data):
    figures = summary(data)["pooled"]
    assert (figures["total"], figures["passed"], figures["weak"], figures["survivors_only"]) == (2, 1, 1, 1)
    own = figures["portfolios"]["stock"]["neutral"]["ensemble"]
    assert (own["auc"], own["adjusted_t"], own["trials"], own["passed"]) == (0.523, 1.4, 66, 1)
    assert "pooled" not in summary(report_data())
