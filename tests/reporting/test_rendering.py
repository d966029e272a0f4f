"""Templates: undefined values are errors, and no text that comes from data is ever taken as markup."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import polars as pl
import pytest
from jinja2 import UndefinedError

from src.core.project import ROOT
from src.reporting.page import method_page, page
from src.reporting.rendering import TEMPLATES, render
from src.reporting.report_data import Luck, ReportData
from src.reporting.tables import Column, table
from tests.reporting.synthetic import grades, importance, luck, report_data, states
from tests.reporting.test_page import EVIL, Reader

TAME = "tame"
FEW = grades(6)  # where the text stands elsewhere: a page of less than half the seconds
SECTIONS = sorted(path.name.removesuffix(".html.jinja") for path in TEMPLATES.iterdir() if path.stem != "tables.html")


def in_column(frame: pl.DataFrame, column: str, text: str) -> pl.DataFrame:
    """The table with a text in one column of its first symbol; as the only reason of every run."""
    first = pl.lit(column == "reasons") | (pl.col("symbol") == frame["symbol"][0])
    value = pl.lit([text]) if frame.schema[column] == pl.List(pl.String) else pl.lit(text)
    return frame.with_columns(pl.when(first).then(value).otherwise(column).alias(column))


def in_grades(column: str) -> Callable[[str], ReportData]:
    def made(text: str) -> ReportData:
        return report_data(in_column(grades(30, planted=10), column, text))

    return made


def in_states(column: str) -> Callable[[str], ReportData]:
    def made(text: str) -> ReportData:
        tables = {stage: in_column(frame, column, text) for stage, frame in states(grades(30)).items()}
        return replace(report_data(grades(30)), states=tables)

    return made


def in_importance(column: str) -> Callable[[str], ReportData]:
    return lambda text: report_data(FEW, importance=importance().with_columns(pl.Series(column, [text, "b", "c", "d"])))


def in_stage(text: str) -> ReportData:
    tables = report_data().states
    return report_data(states={**tables, text: tables["train"]})


def in_sentence(text: str) -> ReportData:
    known = luck(grades(5))
    return report_data(grades(5), luck=Luck(known.passes, known.instruments, 3.0, 1.0, 5.0, text))


# Where text comes from data, from files or from the configuration, and whether the page shows it.
FIELDS: dict[str, tuple[Callable[[str], ReportData], bool]] = {
    **{f"grades.{name}": (in_grades(name), name != "record_id")
       for name in ("asset_class", "symbol", "family", "record_id", "session_key", "reasons", "suspicious")},
    **{f"states.{name}": (in_states(name), True) for name in ("asset_class", "symbol", "state", "reason")},
    "importance.feature": (in_importance("feature"), True),
    "importance.group": (in_importance("group"), True),
    "dataset": (lambda text: report_data(FEW, dataset=text), True),
    "stage": (in_stage, True),
    "bar_facts.key": (lambda text: report_data(FEW, bar_facts={text: "x"}), True),
    "bar_facts.value": (lambda text: report_data(FEW, bar_facts={"bars": text}), True),
    "settings.key": (lambda text: report_data(FEW, settings={text: 1}), True),
    "settings.value": (lambda text: report_data(FEW, settings={"features.own": text}), True),
    "settings.list": (lambda text: report_data(FEW, settings={"universe.symbols": [text]}), True),
    "settings.folds": (lambda text: report_data(FEW, settings=dict.fromkeys(
        ("split.first_train_bars", "split.fold_months", "split.embargo", "label.horizon"), text)), True),
    "settings.costs": (lambda text: report_data(
        FEW, settings={f"strategy.cost_bps.{text.replace('.', '')}": 5.0}), True),
    "planted": (lambda text: replace(report_data(), planted=frozenset({("stock", text)})), True),
    "luck.sentence": (in_sentence, True),
}  # fmt: skip


def test_every_text_column_of_the_grades_and_states_is_tried() -> None:
    def texts(frame: pl.DataFrame) -> set[str]:
        return {name for name, kind in frame.schema.items() if kind in (pl.String, pl.List(pl.String))}

    shown = report_data()
    assert {f"grades.{name}" for name in texts(shown.grades)} - {
        "grades.graded_by",
        "grades.strategy_key",
    } <= FIELDS.keys()
    assert {f"states.{name}" for name in texts(shown.states["train"])} <= FIELDS.keys()
    assert {f"importance.{name}" for name in texts(shown.importance)} <= FIELDS.keys()


def pages(data: ReportData) -> str:
    """The report and its method."""
    return page(data) + method_page(data)


@pytest.mark.parametrize("field", FIELDS)
def test_markup_in_a_text_field_stays_text(field: str) -> None:
    made, is_shown = FIELDS[field]
    hostile, harmless = Reader(pages(made(EVIL))), Reader(pages(made(TAME)))
    assert Counter(hostile.tags) == Counter(harmless.tags)
    assert Counter(name for _, name, _ in hostile.attributes) == Counter(name for _, name, _ in harmless.attributes)
    seen = EVIL.replace(".", "") if field == "settings.costs" else EVIL
    in_chart = json.dumps(seen)[1:-1].replace("<", r"\u003c")
    assert (seen in (text := "".join(hostile.text)) or in_chart in text) == is_shown


def test_a_control_character_is_shown_as_its_escape() -> None:
    text = method_page(report_data(bar_facts={"bars": "a\x00b\x1bc"}))
    assert r"a\x00b\x1bc" in text and "\x00" not in text and "\x1b" not in text


@pytest.mark.parametrize("name", SECTIONS)
def test_a_missing_value_is_an_error(name: str) -> None:
    with pytest.raises(UndefinedError, match="is undefined"):
        render(name)


def test_a_missing_attribute_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="no attribute 'name'"):
        render("distributions", figures=[{"caption": "x"}])


def test_only_the_pages_own_style_and_script_are_taken_as_they_are() -> None:
    raw = [match for path in TEMPLATES.iterdir() for match in re.findall(r"\{\{ *(.*?safe.*?) *\}\}", path.read_text())]
    assert sorted(raw) == ["script | safe", "scripts | safe", "style | safe", "style | safe"]
    code = {path.name: path.read_text(encoding="utf-8") for path in TEMPLATES.parent.glob("*.py")}
    assert [name for name, text in code.items() if re.search(r"do_mark_safe|markupsafe|Markup\(", text)] == [
        "rendering.py"
    ]
    assert not [
        name for name, text in code.items() if name != "svg.py" and re.search(r"</?(p|td|th|div|dl|h\d)\b", text)
    ]


def test_a_cell_holds_the_number_it_sorts_by_and_null_holds_none() -> None:
    columns = [Column("name", lambda r: r["name"]), Column("AUC", lambda _: "-", lambda r: r["auc"])]
    rows = [{"name": "a", "auc": 0.123456789}, {"name": "b", "auc": None}, {"name": "c", "auc": float("nan")}]
    text = render("quality_parts", intro="", listings=[table(columns, rows, "a caption")])
    assert re.findall(r'<th scope="row">(\w)</th><td class="number"( data-v="0.123457")?>-</td>', text) == [
        ("a", ' data-v="0.123457"'), ("b", ""), ("c", ""),
    ]  # fmt: skip


def test_every_file_that_is_not_python_is_packaged() -> None:
    patterns = (ROOT / "MANIFEST.in").read_text(encoding="utf-8").split()[2:]
    files = [
        path
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and path.suffix != ".py" and path.parent.name != "__pycache__"
    ]
    assert TEMPLATES / "page.html.jinja" in files
    assert not [path for path in files if not any(path.match(pattern) for pattern in patterns)]
