"""Which underlyings are wanted, and the asset class of each."""

from __future__ import annotations

import polars as pl

from src.core.errors import StageError
from src.core.instruments import Key
from src.market.bars import BarStore
from src.options.job import QuoteJob


def underlyings(job: QuoteJob) -> list[Key]:
    """Stocks and ETFs whose chains are wanted.

    Parameters
    ----------
    job : QuoteJob
        With ``only``, exactly those are wanted, whether in the dataset or not.

    Returns
    -------
    list of (asset_class, symbol)
        The most traded first, by the liquidity that hydration recorded; at most ``universe.options``.

    Raises
    ------
    StageError
        If the dataset has none.
    """
    if job.only:
        classes = UnderlyingClasses(job)
        named = [(name.rpartition(":")[0], name.rpartition(":")[2]) for name in job.only]
        return list(dict.fromkeys((classes.of(symbol, kind), symbol) for kind, symbol in named))
    if job.most == 0:
        raise StageError("universe.options is 0, so no chain is wanted: set universe.options=100, or name some by only")
    states = BarStore(job.paths.bars).instruments()
    states = states.filter(pl.col("state") == "done", pl.col("asset_class").is_in(["stock", "etf"]))
    if not states.height:
        raise StageError(
            f"dataset {job.dataset} has no stock or ETF yet, and the most traded of them are asked for:"
            f' {job.hydrate_command} first, or name some by "only=[SPY]"'
        )
    ranked = states.sort("liquidity", "symbol", descending=[True, False], nulls_last=True)
    return ranked.head(job.most).select("asset_class", "symbol").rows()


class UnderlyingClasses:
    """Asset classes of symbols that come without one.

    Parameters
    ----------
    job : QuoteJob
        The dataset's classes come first, then ``source.asset_class``, then stock.
    """

    def __init__(self, job: QuoteJob) -> None:
        states = BarStore(job.paths.bars).instruments()
        hydrated = states.filter(pl.col("asset_class") != "crypto").sort("asset_class", descending=True)
        self._hydrated: dict[str, str] = dict(hydrated.select("symbol", "asset_class").iter_rows())
        self._default = job.source.asset_class or "stock"

    def of(self, symbol: str, given: str | None) -> str:
        """Asset class of a symbol.

        Parameters
        ----------
        symbol : str
            Of the underlying.
        given : str, optional
            The class as a file or a user spells it; it counts if it can be read.

        Returns
        -------
        str
            One of `src.core.instruments.ASSET_CLASSES`.
        """
        from src.sources.files import CLASS_SPELLINGS

        return CLASS_SPELLINGS.get(str(given).lower()) or self._hydrated.get(symbol) or self._default
