import base64
import datetime as dt
import gzip
import html
import json
import math
import re

import polars as pl
import pytest

from src.reporting.data_table import DataColumn, DataTable, data_table, tables_script, tables_style
from src.reporting.formatting import DASH

COLUMNS = (
    DataColumn("symbol", "symbol", link="address"),
    DataColumn("family", "family", choices=True),
    DataColumn("auc", "AUC", "three"),
    DataColumn("q", "q", "probability"),
    DataColumn("share", "share", "percent"),
    DataColumn("bars", "bars", "count", shown=False),
    DataColumn("day", "day", "date"),
    DataColumn("passed", "passed", "flag"),
)
ROWS = pl.DataFrame(
    {
        "symbol": ["AAPL", "</script><script>alert(1)</script>", "=cmd|' /C calc'!A0", "NA"],
        "family": ["lightgbm", "lightgbm", "xgboost", "lightgbm"],
        "auc": [0.52123456789, math.nan, math.inf, -0.0004],
        "q": [0.0004, 0.25, None, 1.0],
        "share": [0.125, -0.25, 0.0001, None],
        "bars": [1541, None, 0, 12_000],
        "day": [dt.date(2024, 1, 2), None, dt.date(2020, 2, 29), dt.date(1999, 12, 31)],
        "passed": [True, False, None, False],
        "address": ["sheets/a.html#x:1", "javascript:alert(1)", "https://example.org/?q=1", None],
        "id": ["i-1", "i-2", "i-3", "i-4"],
    }
)


def table(rows: pl.DataFrame = ROWS, **changes: object) -> DataTable:
    return DataTable(**{"name": "t", "caption": "Runs & more", "columns": COLUMNS, "rows": rows, **changes})


def packed(text: str) -> dict[str, list[object]]:
    """The columns as the script unpacks them."""
    (letters,) = re.findall(r'<script type="text/plain" class="packed">(.*?)</script>', text)
    columns = json.loads(gzip.decompress(base64.b64decode(letters)))
    return {n: v if isinstance(v, list) else [v["of"][place] for place in v["at"]] for n, v in columns.items()}


def cells(text: str) -> list[list[str]]:
    body = text.partition("<tbody>")[2].partition("</tbody>")[0]
    rows = re.findall(r"<tr.*?</tr>", body, re.DOTALL)
    return [
        [html.unescape(re.sub("<[^>]*>", "", cell)) for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows
    ]


def test_every_row_travels_and_the_first_page_is_plain_html():
    rows = pl.concat([ROWS] * 20)
    text = data_table(table(rows, page_length=7))
    assert len(cells(text)) == 7
    assert packed(text)["symbol"] == rows["symbol"].to_list()
    assert packed(text)["family"] == rows["family"].to_list()
    assert "The first 7 of 80 rows" in text
    assert "<noscript>" not in data_table(table())


def test_undefined_numbers_are_null_and_dashes_and_the_others_keep_six_digits():
    text = data_table(table())
    assert packed(text)["auc"] == [0.521235, None, None, -0.0004]
    assert packed(text)["day"] == ["2024-01-02", None, "2020-02-29", "1999-12-31"]
    assert cells(text)[0] == ["AAPL", "lightgbm", "0.521", "<0.001", "12.5%", "1,541", "2024-01-02", "yes"]
    assert cells(text)[1][2:] == [DASH, "0.25", "\u221225.0%", DASH, DASH, ""]
    assert cells(text)[3][2:5] == ["0.000", "1.00", DASH]


def test_text_is_escaped_and_no_address_runs_a_script():
    text = data_table(table(caption="</script><b>"))
    assert "alert(1)</script>" not in text and "<b>" not in text
    assert cells(text)[1][0] == ROWS["symbol"][1]
    assert re.findall('href="([^"]*)"', text) == ["sheets/a.html#x:1", "https://example.org/?q=1"]
    assert packed(text)["address"] == ["sheets/a.html#x:1", None, "https://example.org/?q=1", None]


def test_the_same_rows_give_the_same_bytes():
    assert data_table(table()) == data_table(table(ROWS.clone()))


def test_a_row_has_the_id_that_links_lead_to():
    assert re.findall('<tr id="(.*?)">', data_table(table(anchors="id"))) == ["i-1", "i-2", "i-3", "i-4"]


def test_a_column_of_an_unknown_kind_is_refused():
    wrong = DataTable("t", "", (DataColumn("auc", "AUC", "number"),), ROWS, {})
    with pytest.raises(ValueError, match="must be one of .*percent.*, got number"):
        data_table(wrong)


def test_the_script_and_the_style_can_stand_in_a_page_and_fetch_nothing():
    script, style = tables_script(), tables_style()
    assert not re.search(r"</script|<!--|\bexport\s*\{|^import ", script)
    assert script.count("window.DataTable = ") == 1
    assert "url(" not in style and "@import" not in style
