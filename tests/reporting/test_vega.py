"""Data of charts travel as text that no script of the page can be broken by, and arrive as they left."""

import datetime as dt
import json
import math
import re
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.reporting.vega import Chart, figure, library_script, packed, shared_data, variable_length

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def numbers(text: str) -> list[int | None]:
    """Differences of variable length, read bit by bit and added up."""
    found: list[int | None] = []
    last, bits = 0, ""
    for letter in text:
        if letter == ".":
            found.append(None)
            continue
        binary = f"{LETTERS.index(letter):06b}"
        bits = binary[1:] + bits
        if binary[0] == "0":
            last += int(bits[:-1], 2) * (-1 if bits[-1] == "1" else 1)
            found.append(last)
            bits = ""
    return found


@given(st.lists(st.none() | st.integers(-(10**12), 10**12)))
def test_whole_numbers_come_back_from_their_letters(values: list[int | None]) -> None:
    column = packed(pl.DataFrame({"n": pl.Series(values, dtype=pl.Int64)}), 0)["n"]
    assert numbers(column["values"]) == values


def test_small_numbers_take_one_letter() -> None:
    assert {len(variable_length(n)) for n in range(-15, 16)} == {1}


def test_numbers_are_rounded_to_their_places_and_undefined_ones_stay_so() -> None:
    column = packed(pl.DataFrame({"x": [0.12345, None, math.nan, math.inf, -2.0]}), 3, {"x": 2})["x"]
    assert column["places"] == 2
    assert numbers(column["values"]) == [12, None, None, None, -200]


def test_days_are_counted_from_1970() -> None:
    column = packed(pl.DataFrame({"date": [dt.date(1970, 1, 3), dt.date(1969, 12, 31)]}))["date"]
    assert (column["kind"], numbers(column["values"])) == ("day", [2, -1])


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--", "a\u2028b"])
def test_text_cannot_leave_its_script_element(text: str) -> None:
    table = pl.DataFrame({"name": [text]})
    chart = figure(Chart("c", {"mark": "bar"}, text, {"t": table}))
    for written in (chart, shared_data("t", table)):
        (content,) = re.findall(r"<script type=\"application/json\"[^>]*>(.*?)</script>", written, re.DOTALL)
        assert not {"<", "\u2028"} & set(content)
        assert text in json.dumps(json.loads(content), ensure_ascii=False)


def test_the_script_is_bundled_once_and_a_damaged_copy_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled: list[str] = []

    def bundle(source: str) -> str:
        bundled.append(source)
        return f"// é\r\n{source}\n"

    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr("vl_convert.javascript_bundle", bundle)
    made = library_script.__wrapped__
    script = made()
    (kept,) = (tmp_path / "data" / "cache").iterdir()
    assert [made(), len(bundled)] == [script, 1]
    for damaged in (kept.read_bytes()[:-5], b"\xff", b"", kept.read_bytes().replace(b"vega", b"wega")):
        kept.write_bytes(damaged)
        bundled.clear()
        assert [made(), len(bundled), made(), len(bundled)] == [script, 1, script, 1]
    monkeypatch.setattr("src.reporting.vega.version", lambda _name: "0.0.1")
    assert made() == script
    assert len(bundled) == 2, "another release has a file of its own"
    assert [each.name.split("-")[1] for each in (tmp_path / "data" / "cache").iterdir()] == ["0.0.1"]
