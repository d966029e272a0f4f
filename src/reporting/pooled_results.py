"""What a report shows of the pooled scope: its graded portfolios, what they hold against, and what they stand on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from src.market.survivors import Survivorship


@dataclass(frozen=True)
class GradedPortfolio:
    """One run of the pooled scope: a family's ranks of one asset class, traded as one portfolio.

    Attributes
    ----------
    row : mapping
        Its row of the grades.
    title : str
        ``stock.neutral``, with the family where several families have one of this name.
    daily, by_year, decay : DataFrame
        Returns of each day; figures of each year; figures by horizon.
    held : DataFrame
        Exposures, turnover and number of names of each day.
    information, groups : DataFrame
        IC over time and returns by score group, from `src.reporting.tear_sheets.pooled_curves`.
    """

    row: Mapping[str, Any]
    title: str
    daily: pl.DataFrame
    by_year: pl.DataFrame
    decay: pl.DataFrame
    held: pl.DataFrame = field(default_factory=pl.DataFrame)
    information: pl.DataFrame = field(default_factory=pl.DataFrame)
    groups: pl.DataFrame = field(default_factory=pl.DataFrame)

    @property
    def asset_class(self) -> str:
        """Class of the instruments that it holds."""
        return str(self.row["symbol"]).partition(".")[0]

    @property
    def passed(self) -> bool:
        """Whether it cleared all thresholds."""
        return bool(self.row["passed"])

    @property
    def weak(self) -> bool:
        """Whether t after its trials is below 3, or unknown."""
        return self.row["weak"] is not False


@dataclass(frozen=True)
class PooledResults:
    """The pooled scope's last session.

    Attributes
    ----------
    portfolios : tuple of GradedPortfolio
        Those that passed first, then by Sharpe ratio.
    by_instrument : DataFrame
        The pooled scores graded on each instrument beside its own models; empty if that was not done.
    survivorship : mapping of str to Survivorship
        By asset class.
    settings : mapping
        Values of the session's configuration by dotted key.
    """

    portfolios: tuple[GradedPortfolio, ...]
    by_instrument: pl.DataFrame = field(default_factory=pl.DataFrame)
    survivorship: Mapping[str, Survivorship] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def passed(self) -> int:
        """Number of portfolios that passed."""
        return sum(each.passed for each in self.portfolios)

    @property
    def survivors_only(self) -> bool:
        """Whether the bars of any class lack the names that were delisted."""
        return any(each.survivors_only for each in self.survivorship.values())
