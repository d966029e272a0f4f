"""The master index of a day or a quarter: one line for each filing and each of its filers."""

from __future__ import annotations

import re
from typing import Any

import polars as pl

from src.fetching.provider import Malformed

INDEX: dict[str, Any] = {
    "cik": pl.Int64(),  # one of the filing's filers: issuer, owner, subject
    "name": pl.String(),
    "form": pl.String(),  # without blanks around it
    "filed": pl.Date(),
    "accession": pl.String(),  # number with dashes
    "path": pl.String(),  # below Archives/; its CIK may be that of another filer
}
_HEAD = re.compile(
    rb"^CIK\|Company Name\|Form Type\|Date Filed\|File ?[Nn]ame[ \t]*\r?\n(?:-+[ \t]*\r?\n)?", re.MULTILINE
)
_LINE = r"^\s*(\d+)\s*\|(.*)\|([^|]*)\|\s*(\d{4}-?\d\d-?\d\d)\s*\|\s*(edgar/data/\S+/(\d{10}-\d{2}-\d{6})\.txt)\s*$"
_FEW = 0.01  # share of lines that may be of another form


def read_index(body: bytes) -> pl.DataFrame:
    """Read a master index.

    Daily indexes write ``20240301``, quarterly ones ``2024-03-01``. Names are in ASCII or Latin-1 and may hold a bar.

    Parameters
    ----------
    body : bytes
        As served.

    Returns
    -------
    DataFrame
        Columns of `INDEX`, rows in order, a filing with two filers twice. Without filings it is empty. A few lines of
        another form are left out: see `lines_left_out`.

    Raises
    ------
    Malformed
        If it is no master index, was cut within a line, or more than one line in a hundred is of another form.
    """
    lines = _lines(body)
    parts = lines.str.extract_groups(_LINE).struct.unnest()
    parts.columns = ["cik", "name", "form", "filed", "path", "accession"]
    rows = parts.select(
        pl.col("cik").cast(pl.Int64),
        pl.col("name", "form").str.strip_chars(),
        pl.col("filed").str.replace_all("-", "").str.to_date("%Y%m%d", strict=False),
        "accession",
        "path",
    )
    good = rows["filed"].is_not_null()
    wrong = lines.filter(~good)
    if lines.len() and not good[-1]:
        raise Malformed(f"a master index ends within a line, it was cut: {lines[-1][:120]!r}")
    if wrong.len() > _FEW * lines.len():
        raise Malformed(f"{wrong.len():,} lines of a master index are of another form, the first: {wrong[0][:120]!r}")
    return rows.filter(good)


def lines_left_out(body: bytes, rows: pl.DataFrame) -> int:
    """How many lines of a master index `read_index` left out.

    Parameters
    ----------
    body : bytes
        As served.
    rows : DataFrame
        What `read_index` made of it.
    """
    return _lines(body).len() - rows.height


def _lines(body: bytes) -> pl.Series:
    """The lines below the names of the columns."""
    head = _HEAD.search(body)
    if not head:
        raise Malformed("no master index: its line of column names is missing")
    lines = pl.Series("line", _utf8(body[head.end() :]).decode().split("\n"), dtype=pl.String)
    return lines.filter(lines.str.strip_chars() != "")


def _utf8(body: bytes) -> bytes:
    """The text in UTF-8; what is not UTF-8 is Latin-1."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1").encode("utf-8")
    return body
