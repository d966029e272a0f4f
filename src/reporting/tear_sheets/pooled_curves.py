"""What a pooled model's scores said of the days after them: IC over time, and returns by score group.

Groups hold the names of a day by the rank of their score as the model gives it, before any neutralising, and earn from
the next open to the one after: how well the scores order the names, before weights and costs.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from src.config.paths import DatasetPaths
from src.core.arrays import DateArray, FloatArray, Matrix
from src.core.code_hash import code_digest
from src.core.errors import StageError
from src.market.bars import BarStore, tradable
from src.reporting.kept import kept
from src.training.pooled.ranks import RankTable
from src.training.pooled.score_store import ScoreStore
from src.training.run_store import RunStore

GROUPS = 5
YEAR = 252
"""Days of the rolling mean of the IC, of which a quarter is enough."""
GROUP_SCHEMA = {"date": pl.Date, "group": pl.Int64, "names": pl.Int64, "return": pl.Float64, "equity": pl.Float64}


def information(daily: pl.DataFrame) -> pl.DataFrame:
    """Give the rank IC of each day, its mean over a year, and its sum.

    Parameters
    ----------
    daily : DataFrame
        date and ic, null where undefined.

    Returns
    -------
    DataFrame
        date, ic, ic_mean (of the last `YEAR` days with one), ic_sum; without the days that have none.
    """
    if "ic" not in daily.columns:
        return pl.DataFrame(schema={"date": pl.Date, "ic": pl.Float64, "ic_mean": pl.Float64, "ic_sum": pl.Float64})
    known = daily.select("date", "ic").fill_nan(None).drop_nulls().sort("date")
    mean = pl.col("ic").rolling_mean(YEAR, min_samples=YEAR // 4)
    return known.with_columns(ic_mean=mean, ic_sum=pl.col("ic").cum_sum())


def score_groups(paths: DatasetPaths, record_id: str, first: dt.date, last: dt.date) -> pl.DataFrame:
    """Give the mean return of each fifth of the names by score, day by day.

    Parameters
    ----------
    paths : DatasetPaths
    record_id : str
        Of a run of the pooled scope.
    first, last : date
        First and last graded day.

    Returns
    -------
    DataFrame
        In `GROUP_SCHEMA`: date of the decision, group (1 holds the lowest scores), names with a return, their mean
        return from the next open to the one after, and the equity of holding them, which starts at 1. A day without a
        return leaves it where it was. Empty where the scores, ranks or bars are gone or were made from others.
    """
    runs = RunStore(paths.portfolios).runs(("symbol", "parts"), [record_id])
    if runs.is_empty() or not BarStore(paths.bars).exists():
        return pl.DataFrame(schema=GROUP_SCHEMA)
    asset_class = runs["symbol"][0].partition(".")[0]
    try:
        table = RankTable.open(paths.ranks / asset_class)
    except StageError:
        return pl.DataFrame(schema=GROUP_SCHEMA)
    fits: dict[str, str] = json.loads(runs["parts"][0]).get("fits", {})
    bars = BarStore(paths.bars)
    made_from = [
        record_id, fits, str(first), str(last), sorted(table.files.items()), [bars.digest(b) for b in bars.buckets()],
        code_digest(grouped), code_digest(open_returns),
    ]  # fmt: skip

    def compute() -> pl.DataFrame:
        scores = _scores(ScoreStore(paths.portfolios), fits, table)
        if scores is None:
            return pl.DataFrame(schema=GROUP_SCHEMA)
        returns = open_returns(bars, asset_class, table.dates, table.symbols)
        day = np.repeat(np.arange(len(table.dates)), np.diff(table.offsets))
        days = grouped(day, scores, returns[day, table.names])
        dates = pl.Series(table.dates.astype("datetime64[D]"))
        dated = days.with_columns(date=dates.gather(days["day"])).filter(pl.col("date").is_between(first, last))
        growth = (1.0 + pl.col("return")).cum_prod().over("group", order_by="date")
        return dated.with_columns(equity=growth).select(list(GROUP_SCHEMA)).sort("date", "group")

    return kept(paths.report_cache, f"groups-{record_id}", made_from, compute)


def grouped(day: npt.NDArray[np.int64], scores: Matrix, returns: Matrix) -> pl.DataFrame:
    """Sort the names of each day into `GROUPS` of equal size by score, and average their returns.

    Parameters
    ----------
    day : int64, shape (R,)
        Number of the day of each row.
    scores, returns : float32, shape (R,)
        Of a day and name; rows without a score are left out, and returns that are NaN do not count.

    Returns
    -------
    DataFrame
        day, group (from 1), names (with a return), return (0 where no name has one).
    """
    rows = pl.DataFrame({"day": day, "score": scores, "return": returns}).fill_nan(None).drop_nulls("score")
    place = (pl.col("score").rank("average").over("day") - 0.5) / pl.len().over("day")
    group = (place * GROUPS).floor().cast(pl.Int64).clip(0, GROUPS - 1) + 1
    known = pl.col("return").cast(pl.Float64)
    means = rows.group_by("day", group.alias("group")).agg(known.count().alias("names"), known.mean())
    return means.with_columns(pl.col("names").cast(pl.Int64), pl.col("return").fill_null(0.0)).sort("day", "group")


def open_returns(bars: BarStore, asset_class: str, dates: DateArray, symbols: tuple[str, ...]) -> Matrix:
    """Give the return from the open after each day to the next open, in total-return prices.

    Parameters
    ----------
    bars : BarStore
    asset_class : str
    dates : datetime64[D], shape (T,)
        Sessions.
    symbols : tuple of str, length N

    Returns
    -------
    float32, shape (T, N)
        NaN where the instrument did not trade at one of the two opens, and on the last two days.
    """
    out = np.full((len(dates), len(symbols)), np.nan, dtype=np.float32)
    place = {symbol: column for column, symbol in enumerate(symbols)}
    for columns, opens in _opens(bars, asset_class, dates, place):
        with np.errstate(invalid="ignore"):
            out[:-2, columns] = opens[2:] / opens[1:-1] - 1.0
    return out


def _opens(
    bars: BarStore, asset_class: str, dates: DateArray, place: dict[str, int]
) -> Iterator[tuple[list[int], FloatArray]]:
    """Columns of some instruments, and their opens, shape (T, columns), bucket by bucket."""
    keys = [(asset_class, symbol) for symbol in place]
    for number in bars.buckets():
        read = bars.read_bucket(number, ["asset_class", "symbol", "date", "open", "close", "volume", "factor"], keys)
        own = read.filter(tradable(read)).with_columns(pl.col("date").cast(pl.Date))
        own = own.filter(pl.col("date").is_in(pl.Series(dates.astype("datetime64[D]")).implode())).sort("symbol")
        if own.is_empty():
            continue
        names = own["symbol"].unique(maintain_order=True).to_list()
        rows = np.searchsorted(dates, own["date"].to_numpy().astype("datetime64[D]"))
        opens = np.full((len(dates), len(names)), np.nan)
        opens[rows, own["symbol"].rle_id().to_numpy()] = (own["open"].cast(pl.Float64) * own["factor"]).to_numpy()
        yield [place[name] for name in names], opens


def _scores(store: ScoreStore, fits: dict[str, str], table: RankTable) -> Matrix | None:
    """Scores of each row of the ranks; of several families the mean of their ranks within the day."""
    found = [store.rows(key, table.dates, table.offsets) for key in fits.values()]
    known = [scores for scores in found if scores is not None]
    if not known or len(known) < len(found):
        return None
    if len(known) == 1:
        return known[0]
    day = np.repeat(np.arange(len(table.dates)), np.diff(table.offsets))
    frame = pl.DataFrame({"day": day, **{f"s{n}": scores for n, scores in enumerate(known)}}).fill_nan(None)
    ranks = [pl.col(f"s{n}").rank("average").over("day") for n in range(len(known))]
    mean = frame.select((pl.sum_horizontal(ranks, ignore_nulls=False) / len(ranks)).cast(pl.Float32))
    return mean.to_series().fill_null(float("nan")).to_numpy()
