"""The data quality page: true counts, escaped text, the ten worst, and old datasets."""

import dataclasses
import json
from pathlib import Path

import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.hydration.quality import Quality, quality
from src.reporting import loading
from src.reporting.page import page, quality_page
from src.reporting.quality import affected, by_rule, quality_figures
from src.reporting.quality_instruments import anchor, instruments_section
from src.reporting.quality_worst import data_command, sparkline, worst
from src.reporting.report_data import ReportData
from src.reporting.schemas import grades_table
from src.reporting.summary import summary
from tests.quality_case import DAY, stored_dataset
from tests.reporting.synthetic import grades, report_data


@pytest.fixture
def data(tmp_path: Path) -> ReportData:
    paths = DatasetPaths(tmp_path, "nasty")
    stored_dataset(paths.bars)
    found = loading.read_quality(paths)
    return report_data(dataset="nasty", quality=found, around=loading.read_around(paths, found))


def test_the_page_states_the_counts_and_escapes_every_text(data: ReportData):
    html = quality_page(data)
    assert "3 of 8 instruments used as they came, 1 repaired (7 of 1,000 bars, 0.7%)" in html
    assert "<b>a;b.csv</b>" not in html and "&lt;b&gt;a;b.csv&lt;/b&gt;" in html
    assert html.count("<tr id=") == 8 and "before findings were recorded" not in html


def test_each_instrument_has_its_row_and_each_card_links_to_it(data: ReportData):
    html = quality_page(data)
    for kind, symbol in (("stock", "A;B"), ("crypto", "COIN-USD"), ("stock", "BAD")):
        assert f'<tr id="{anchor(kind, symbol)}">' in html
    assert f'href="#{anchor("stock", "BAD")}"' in html
    assert "python -m src.data universe.name=nasty stock:BAD" in html


def test_the_page_of_results_says_the_share_and_links_to_it(data: ReportData):
    assert affected(data) == "Hydration repaired, shortened or set aside 62.5% of the universe's 8 instruments."
    assert 'href="quality.html"' in page(data) and affected(data) in page(data).replace("&#39;", "'")
    assert 'href="index.html"' in quality_page(data)
    assert 'href="quality.html"' not in page(report_data())


def test_a_passing_run_links_to_its_instrument_on_the_page(data: ReportData):
    table = grades_table(grades(instruments=3)).with_columns(symbol=pl.lit("A;B"), asset_class=pl.lit("stock"))
    html = page(dataclasses.replace(data, grades=table.with_columns(passed=True)))
    assert f'<a href="quality.html#{anchor("stock", "A;B")}">failed</a>' in html


def test_metrics_have_the_counts_of_the_page(data: ReportData):
    figures = json.loads(json.dumps(summary(data)))["quality"]
    assert data.quality is not None and figures == quality_figures(data.quality)
    assert (figures["as_they_came"], figures["repaired"], figures["quarantined"], figures["failed"]) == (3, 1, 1, 1)
    assert figures["repaired_bars_share"] == 0.007 and figures["by_asset_class"]["crypto"]["instruments"] == 1
    assert "quality" not in summary(report_data())


def test_a_rule_counts_instruments_once_and_says_how_many_are_set_aside(data: ReportData):
    assert data.quality is not None
    table = by_rule(data.quality)
    found = {row["rule"]: (row["effect"], row["instruments"], row["set_aside"], row["n"]) for row in table.to_dicts()}
    assert found["no_open"] == ("repaired", 1, 0, 4) and found["range"] == ("repaired", 1, 1, 9)
    assert found["unreadable"] == ("failed", 1, 1, 0) and next(iter(found)) == "unreadable"


def test_two_findings_of_one_rule_are_one_instrument(data: ReportData):
    assert data.quality is not None
    twice = pl.concat([data.quality.findings, data.quality.findings.filter(pl.col("rule") == "no_open")])
    table = by_rule(dataclasses.replace(data.quality, findings=twice)).filter(pl.col("rule") == "no_open")
    assert table.select("instruments", "n").row(0) == (1, 8)


def test_the_worst_are_those_set_aside_by_what_they_trade_then_prices_out_of_line_then_shares(data: ReportData):
    assert data.quality is not None
    chosen = worst(data.quality)["symbol"].to_list()
    assert chosen == ["BAD", "A;B", "FIXED", "CUT", "NOTED"]
    findings = data.quality.findings.with_columns(
        ratio=pl.when(pl.col("symbol") == "NOTED").then(11.0).otherwise(pl.col("ratio"))
    )
    assert worst(dataclasses.replace(data.quality, findings=findings))["symbol"].to_list()[2] == "NOTED"


def test_of_many_set_aside_and_many_in_use_half_of_each_are_shown(data: ReportData):
    assert data.quality is not None
    many = _times(data.quality, 20)
    chosen = worst(many)
    assert chosen.height == 10
    assert chosen.filter(pl.col("outcome").is_in(["quarantined", "failed"])).height == 5
    assert worst(many, 4).height == 4


def test_what_is_in_use_is_drawn_from_stored_bars_and_the_rest_from_the_finding(data: ReportData):
    assert data.around["stock", "FIXED"].height == 61 and data.around["stock", "FIXED"]["date"][0] == DAY
    html = quality_page(data)
    assert 'aria-label="Closes of stock:FIXED' in html and 'aria-label="Closes of stock:BAD"' in html
    assert "no bars to draw" in html  # of the file that could not be read


def test_a_dataset_older_than_findings_shows_its_reasons_whole_and_what_to_type(tmp_path: Path):
    store = stored_dataset(tmp_path)
    store.record(0, "job", store.instruments(), "digest")
    command = "python -m src.hydrate universe=nasty source=folder"
    html = quality_page(report_data(quality=quality(store), hydrate_command=command))
    assert "before findings were recorded" in html and command in html
    assert "reason, whole" in html and "&lt;b&gt;a;b.csv" in html


def test_a_dataset_without_bars_has_a_page_that_says_so():
    assert "No bars have been hydrated here." in quality_page(report_data())


def test_the_page_of_no_findings_invites_to_look_at_nothing(data: ReportData):
    assert data.quality is not None
    clean = data.quality.instruments.filter(pl.col("symbol") == "CLEAN")
    none = dataclasses.replace(data.quality, instruments=clean, findings=data.quality.findings.clear())
    html = quality_page(dataclasses.replace(data, quality=none))
    assert "there is nothing to look at" in html and "1 of 1 instrument used as they came" in html


def test_a_long_text_is_cut_in_the_table_only(data: ReportData):
    assert data.quality is not None
    long = data.quality.findings.with_columns(text=pl.lit("x" * 5000))
    html = instruments_section(dataclasses.replace(data, quality=dataclasses.replace(data.quality, findings=long)))
    assert "x" * 197 + "..." in html and "x" * 201 not in html


def test_a_command_for_an_odd_symbol_works_as_typed():
    assert data_command("demo", "stock", "A;B") == 'python -m src.data universe=demo "stock:A;B"'


def test_a_sparkline_leaves_gaps_and_marks_and_draws_no_change_as_a_level():
    drawn = sparkline([1.0, 2.0, None, 0.0, 4.0, 8.0], [False, True, True, True, False, False], "closes")
    assert drawn.count("<path") == 2 and drawn.count("<circle") == 1 and ">8<" in drawn and ">1<" in drawn
    assert sparkline([5.0, 5.0], [False, False], "flat").count("<text") == 1


def _times(found: Quality, n: int) -> Quality:
    def copies(frame: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([frame.with_columns(pl.col("symbol") + f"-{k}") for k in range(n)])

    return dataclasses.replace(found, instruments=copies(found.instruments), findings=copies(found.findings))
