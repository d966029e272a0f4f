"""The SEC's quarterly data sets of insider transactions: a zip of tables, one row a line of a Form 4 or 5."""

from __future__ import annotations

import io
import zipfile

import polars as pl

from src.research.reading.ownership import FALSE, MARKET_CODES, NO_PLAN, PLAN, TRADES, TRUE

_NOTES = (
    "SECURITY_TITLE_FN", "TRANS_DATE_FN", "EQUITY_SWAP_TRANS_CD_FN", "TRANS_TIMELINESS_FN", "TRANS_SHARES_FN",
    "TRANS_PRICEPERSHARE_FN", "TRANS_ACQUIRED_DISP_CD_FN", "SHRS_OWND_FOLWNG_TRANS_FN",
)  # fmt: skip
_LINES = (
    "ACCESSION_NUMBER", "NONDERIV_TRANS_SK", "TRANS_DATE", "TRANS_CODE", "EQUITY_SWAP_INVOLVED", "TRANS_SHARES",
    "TRANS_PRICEPERSHARE", "TRANS_ACQUIRED_DISP_CD", "SHRS_OWND_FOLWNG_TRANS",
)  # fmt: skip
_SUBMISSIONS = ("ACCESSION_NUMBER", "FILING_DATE", "DOCUMENT_TYPE", "ISSUERCIK", "AFF10B5ONE")
_OWNERS = ("ACCESSION_NUMBER", "RPTOWNERCIK", "RPTOWNER_RELATIONSHIP")
_UNPACKED = 1 << 30  # bytes of a quarter's tables together; real ones have 0.1 GB
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


def set_trades(body: bytes) -> pl.DataFrame:
    """Read one quarter.

    Parameters
    ----------
    body : bytes
        The zip as served, with SUBMISSION.tsv, REPORTINGOWNER.tsv, NONDERIV_TRANS.tsv and, where there are any,
        FOOTNOTES.tsv and DERIV_TRANS.tsv.

    Returns
    -------
    DataFrame
        Columns of `TRADES`: the lines with a market code, and one row that counts the others.

    Raises
    ------
    ValueError, KeyError, BadZipFile
        If it is no such set, or unpacks to more than 1 GiB.
    """
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        if sum(each.file_size for each in archive.infolist()) > _UNPACKED:
            raise ValueError(f"it unpacks to more than {_UNPACKED >> 20:,} MiB")
        names = {name.rsplit("/", 1)[-1].upper(): name for name in archive.namelist()}
        lines = _table(archive, names["NONDERIV_TRANS.TSV"], _LINES, _NOTES)
        submissions = _table(archive, names["SUBMISSION.TSV"], _SUBMISSIONS)
        owners = _table(archive, names["REPORTINGOWNER.TSV"], _OWNERS)
        notes = _table(archive, names.get("FOOTNOTES.TSV"), ("ACCESSION_NUMBER", "FOOTNOTE_ID", "FOOTNOTE_TXT"))
        derivatives = _table(archive, names.get("DERIV_TRANS.TSV"), ("ACCESSION_NUMBER",)).height
    code = pl.col("TRANS_CODE").str.strip_chars().str.to_uppercase()
    market = lines.filter(code.is_in(MARKET_CODES)).sort(
        "ACCESSION_NUMBER", pl.col("NONDERIV_TRANS_SK").cast(pl.Int64, strict=False), maintain_order=True
    )
    joined = (
        _with_plans(market, notes)
        .join(_headers(submissions), on="ACCESSION_NUMBER", how="inner", maintain_order="left")
        .join(_roles(owners), on="ACCESSION_NUMBER", how="left", maintain_order="left")
    )
    counts = pl.DataFrame([{"line": -1, "others": lines.height - market.height, "derivatives": derivatives}])
    return pl.concat([_rows(joined), counts.cast({"line": pl.Int32()})], how="diagonal_relaxed").select(
        pl.col(name).cast(kind) if name in {*joined.columns, *_ROW} else pl.lit(None, kind).alias(name)
        for name, kind in TRADES.items()
    )


_ROW = (
    "accession", "filed", "form", "issuer", "owner", "officer", "director", "owner_of_ten_percent", "planned", "line",
    "code", "side", "swap", "shares", "price", "held", "traded", "others", "derivatives",
)  # fmt: skip


def _table(
    archive: zipfile.ZipFile, name: str | None, columns: tuple[str, ...], optional: tuple[str, ...] = ()
) -> pl.DataFrame:
    """Some columns of a table as text; those that a quarter lacks are null."""
    wanted = {each: pl.String() for each in (*columns, *optional)}
    if name is None:
        return pl.DataFrame(schema=wanted)
    data = archive.read(name)
    data = data.removeprefix(b"\xef\xbb\xbf")
    header = data[: data.find(b"\n")].decode("utf-8", "replace").rstrip("\r").split("\t")
    present = {each: each.strip().upper() for each in header if each.strip().upper() in wanted}
    if "ACCESSION_NUMBER" not in present.values():
        raise ValueError(f"{name} has no column ACCESSION_NUMBER")
    table = pl.read_csv(
        data, separator="\t", quote_char=None, infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True,
        columns=list(present), glob=False,
    ).rename(present)  # fmt: skip
    missing = [pl.lit(None, pl.String()).alias(each) for each in wanted if each not in table.columns]
    return table.with_columns(*missing).select(*wanted)


def _headers(submissions: pl.DataFrame) -> pl.DataFrame:
    """Filing date, form, issuer and checkbox of each filing."""
    return submissions.unique("ACCESSION_NUMBER", keep="first", maintain_order=True).select(
        "ACCESSION_NUMBER",
        filed=day("FILING_DATE"),
        form=pl.col("DOCUMENT_TYPE").str.strip_chars(),
        issuer=pl.col("ISSUERCIK").str.strip_chars().cast(pl.Int64, strict=False),
        checked=_flag("AFF10B5ONE"),
    )


def _roles(owners: pl.DataFrame) -> pl.DataFrame:
    """The first owner of each filing, with the roles of all."""
    held = pl.col("RPTOWNER_RELATIONSHIP").fill_null("").str.to_lowercase().str.replace_all(r"[^a-z,]", "")
    return owners.group_by("ACCESSION_NUMBER", maintain_order=True).agg(
        owner=pl.col("RPTOWNERCIK").first().str.strip_chars().cast(pl.Int64, strict=False),
        officer=held.str.contains("officer").any().cast(pl.Float64),
        director=held.str.contains("director").any().cast(pl.Float64),
        owner_of_ten_percent=held.str.contains("tenpercent").any().cast(pl.Float64),
    )


def _with_plans(lines: pl.DataFrame, notes: pl.DataFrame) -> pl.DataFrame:
    """Whether a footnote of the line speaks of a 10b5-1 plan: 1, 0 where it denies one, null where it says nothing."""
    text = pl.col("FOOTNOTE_TXT").fill_null("")
    speaking = notes.filter(text.str.contains(f"(?i){PLAN.pattern}")).select(
        "ACCESSION_NUMBER",
        note=pl.col("FOOTNOTE_ID").str.strip_chars().str.to_uppercase(),
        noted=pl.when(text.str.contains(f"(?i){NO_PLAN.pattern}")).then(0.0).otherwise(1.0),
    )
    named = pl.concat_str(*(pl.col(name).fill_null("") for name in _NOTES), separator=",").str.to_uppercase()
    said = (
        lines.select("ACCESSION_NUMBER", "NONDERIV_TRANS_SK", note=named.str.extract_all(r"F\d+"))
        .explode("note")
        .join(speaking, on=["ACCESSION_NUMBER", "note"], how="inner")
        .group_by("ACCESSION_NUMBER", "NONDERIV_TRANS_SK")
        .agg(noted=pl.col("noted").min())
    )
    return lines.join(said, on=["ACCESSION_NUMBER", "NONDERIV_TRANS_SK"], how="left", maintain_order="left")


def _rows(joined: pl.DataFrame) -> pl.DataFrame:
    """Lines in the names and types of `TRADES`."""
    return joined.select(
        "filed", "form", "issuer", "owner", "officer", "director", "owner_of_ten_percent",
        accession=pl.col("ACCESSION_NUMBER").str.strip_chars(),
        planned=pl.when(pl.col("checked") == 1.0).then(1.0).otherwise(pl.coalesce("noted", "checked")),
        line=pl.int_range(pl.len()).over("ACCESSION_NUMBER").cast(pl.Int32),
        code=pl.col("TRANS_CODE").str.strip_chars().str.to_uppercase(),
        side=pl.col("TRANS_ACQUIRED_DISP_CD").str.strip_chars().replace("", None),
        swap=_flag("EQUITY_SWAP_INVOLVED") == 1.0,
        shares=_number("TRANS_SHARES"),
        price=_number("TRANS_PRICEPERSHARE"),
        held=_number("SHRS_OWND_FOLWNG_TRANS"),
        traded=day("TRANS_DATE"),
    )  # fmt: skip


def day(column: str) -> pl.Expr:
    """Read dates such as ``05-JAN-2024``; ISO dates are taken too, and what is neither is null.

    Parameters
    ----------
    column : str
        Name of a column of text.
    """
    text = pl.col(column).str.strip_chars().str.to_uppercase()
    month = text.str.slice(3, 3).replace_strict(_MONTHS, range(1, 13), default=None, return_dtype=pl.Int32())
    iso = pl.concat_str(text.str.slice(7, 4), month.cast(pl.String()).str.zfill(2), text.str.slice(0, 2), separator="-")
    plain = text.str.slice(0, 10).str.to_date("%Y-%m-%d", strict=False)
    return pl.coalesce(iso.str.to_date("%Y-%m-%d", strict=False), plain)


def _number(column: str) -> pl.Expr:
    value = pl.col(column).str.strip_chars().cast(pl.Float64, strict=False)
    return pl.when(value.is_finite()).then(value)


def _flag(column: str) -> pl.Expr:
    text = pl.col(column).str.strip_chars().str.to_lowercase()
    return pl.when(text.is_in(TRUE)).then(1.0).when(text.is_in(FALSE)).then(0.0)
