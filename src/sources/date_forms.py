"""The forms in which dates are written as text, taken apart but not yet interpreted."""

from __future__ import annotations

import polars as pl

_TIME = (
    r"(?:(?:T|_|,?\s+)(?P<H>\d{1,2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"\s*(?P<ap>(?i:[ap]\.?m\.?))?)?"
)
_ZONE = r"\s*(?P<z>Z|z|(?:UTC|GMT)?[-+]\d{1,2}(?::?\d{2})?|UTC|GMT|EST|EDT|CET|CEST)?(?:\[[^\]]*\])?"
_END = _TIME + _ZONE + "$"
_WEEKDAY = r"^(?:(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_MONTH = r"(?P<mon>\p{L}{3,9})\.?"
_ORDINAL = r"(?:st|nd|rd|th)?"

FORMS = {
    "year first": r"^(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})" + _END,
    "compact": r"^(?P<y>(?:19|20|21)\d{2})(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])"
    r"(?:[T _]?(?P<H>[01]\d|2[0-4]):?(?P<M>[0-5]\d)(?::?(?P<S>[0-5]\d)(?:\.(?P<f>\d{1,9}))?)?)?" + _ZONE + "$",
    "year last": r"^(?P<p1>\d{1,2})(?P<sep>[-/.\s])(?P<p2>\d{1,2})[-/.\s](?P<p3>\d{4})" + _END,
    "short year": r"^(?P<p1>\d{1,2})(?P<sep>[-/.])(?P<p2>\d{1,2})[-/.](?P<p3>\d{2})" + _END,
    "number": r"^(?P<n>[-+]?\d+(?:\.\d*)?(?:[eE]\+?\d+)?)$",
    "day and name": _WEEKDAY + r"(?P<d>\d{1,2})" + _ORDINAL + r"[-\s./]*" + _MONTH + r"[-\s,./]*(?P<y>\d{4}|\d{2})"
    + _END,
    "name and day": _WEEKDAY + _MONTH + r"[-\s]*(?P<d>\d{1,2})" + _ORDINAL + r",?[-\s]+(?P<y>\d{4}|\d{2})" + _END,
    "year and name": r"^(?P<y>\d{4})[-\s/]" + _MONTH + r"[-\s/](?P<d>\d{1,2})" + _END,
}  # fmt: skip
"""A regular expression for each form, with the parts that it names."""
PARTS = ("y", "m", "d", "mon", "p1", "p2", "p3", "sep", "n", "H", "M", "S", "f", "ap", "z")
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
           "december")  # fmt: skip
MONTHS = {name: i for i, full in enumerate(_MONTHS, 1) for name in (full, full[:3])} | {"sept": 9}
"""Number of a month by its English names in lower case."""
_ZONES = {"Z": 0, "UTC": 0, "GMT": 0, "EST": -300, "EDT": -240, "CET": 60, "CEST": 120}  # minutes


def taken_apart(cells: pl.DataFrame) -> pl.DataFrame:
    """Cut dates into their parts.

    Parameters
    ----------
    cells : DataFrame
        Column ``cell``, text without surrounding spaces; other columns are kept.

    Returns
    -------
    DataFrame
        The same rows in the same order with `PARTS` (text; null where the form has no such part) and ``form``, null for
        cells of no known form.
    """
    rest, found = cells.with_row_index("_i"), []
    for form, pattern in FORMS.items():
        if not rest.height:
            break
        groups = rest.with_columns(rest["cell"].str.extract_groups(pattern).alias("_g")).unnest("_g")
        key = {"number": "n", "year last": "p1", "short year": "p1"}.get(form, "y")
        hit = pl.col(key).is_not_null()
        found.append(groups.filter(hit).with_columns(form=pl.lit(form)))
        rest = groups.filter(~hit).select(rest.columns)
    found.append(rest.with_columns(form=pl.lit(None, pl.String)))
    whole = pl.concat(found, how="diagonal")
    absent = [pl.lit(None, pl.String).alias(part) for part in PARTS if part not in whole.columns]
    return whole.with_columns(absent).sort("_i").drop("_i")


def times(parts: pl.DataFrame) -> pl.DataFrame:
    """Time of day and distance from UTC of dates that were taken apart.

    Parameters
    ----------
    parts : DataFrame
        From `taken_apart`.

    Returns
    -------
    DataFrame
        The same with ``time`` (microseconds of the day, 24:00 included; null for an impossible time) and
        ``offset`` (minutes; null without a zone).
    """
    hour, minute = pl.col("H").cast(pl.Int64), pl.col("M").cast(pl.Int64)
    second = pl.col("S").cast(pl.Int64).fill_null(0)
    half = pl.col("ap").str.to_lowercase().str.slice(0, 1)
    hour = pl.when(half.is_null()).then(hour).when(hour.is_between(1, 12)).then(hour % 12 + (half == "p") * 12)
    fraction = pl.col("f").str.pad_end(9, "0").cast(pl.Int64).fill_null(0) // 1000
    whole = ((hour * 60 + minute) * 60 + second) * 1_000_000 + fraction
    possible = (minute < 60) & (second < 60) & (whole <= 86_400_000_000)
    zone = pl.col("z").str.to_uppercase().str.replace(r"^(UTC|GMT)([-+])", "$2")
    named = zone.replace_strict(_ZONES, default=None, return_dtype=pl.Int64)
    written = zone.str.extract_groups(r"^(?P<s>[-+])(?P<h>\d{1,2}):?(?P<m>\d{2})?$").struct
    size = written.field("h").cast(pl.Int64) * 60 + written.field("m").cast(pl.Int64).fill_null(0)
    offset = named.fill_null(pl.when(written.field("s") == "-").then(-size).otherwise(size))
    return parts.with_columns(
        time=pl.when(pl.col("H").is_null()).then(0).when(possible).then(whole),
        offset=offset,
    )
