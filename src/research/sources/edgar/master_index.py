"""The master index of a day or a quarter: one line for each filing and each of its filers."""

from __future__ import annotations

import io
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
_LAST = re.compile(rb"\|edgar/data/[^|\r\n]+\.txt[ \t]*[\r\n]*\Z")


def read_index(body: bytes) -> pl.DataFrame:
    """Read a master index.

    Daily indexes write ``20240301``, quarterly ones ``2024-03-01``. Names are ASCII or Latin-1 in old files.

    Parameters
    ----------
    body : bytes
        As served.

    Returns
    -------
    DataFrame
        Columns of `INDEX`, rows in order, a filing with two filers twice. Without filings it is empty.

    Raises
    ------
    Malformed
        If it is no master index, was cut within a line, or a line is not of the form.
    """
    head = _HEAD.search(body)
    if not head:
        raise Malformed("no master index: its line of column names is missing")
    rest = body[head.end() :]
    if not rest.strip():
        return pl.DataFrame(schema=INDEX)
    if not _LAST.search(rest):
        raise Malformed("a master index ends within a line: it was cut")
    names = ["cik", "name", "form", "filed", "path"]
    raw = pl.read_csv(
        io.BytesIO(_utf8(rest)), separator="|", has_header=False, new_columns=names, quote_char=None,
        schema=dict.fromkeys(names, pl.String), truncate_ragged_lines=False, glob=False,
    )  # fmt: skip
    rows = raw.with_columns(pl.all().str.strip_chars()).select(
        pl.col("cik").cast(pl.Int64, strict=False),
        "name",
        "form",
        pl.col("filed").str.replace_all("-", "").str.to_date("%Y%m%d", strict=False),
        pl.col("path").str.extract(r"(\d{10}-\d{2}-\d{6})\.txt$").alias("accession"),
        "path",
    )
    wrong = rows.filter(pl.any_horizontal(pl.col("cik", "filed", "accession").is_null()))
    if wrong.height:
        raise Malformed(f"{wrong.height:,} lines of a master index are not of the form, the first: {wrong.row(0)}")
    return rows


def _utf8(body: bytes) -> bytes:
    """The text in UTF-8; what is not UTF-8 is Latin-1."""
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return body.decode("latin-1").encode("utf-8")
    return body
