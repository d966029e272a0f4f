"""One champion, which decides on given bars by the code that trained, graded and said."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

from src.core.errors import ConfigError, StageError
from src.core.instruments import KEY
from src.inspection.reading.frames import Frame, Pandas, Polars, as_frame
from src.inspection.reading.places import Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import polars as pl

    from src.core.instruments import Key
    from src.signals.graded_settings import GradedSettings
    from src.tracking.crowned_versions import CrownedVersion

GATED = ("auc", "accuracy", "sharpe", "max_drawdown")
EVIDENCE = (
    "n_oos", "first_oos", "last_oos", "z", "p_value", "sharpe_p_value", "q_value", "luck_rate", "deflated_sharpe",
    "n_trials",
)  # fmt: skip


@dataclass(frozen=True)
class _Crowned:
    """What champions of both scopes share."""

    _at: Place
    _version: CrownedVersion

    @property
    def name(self) -> str:
        """Of the registered model, such as ``stock.AAPL``."""
        return self._version.name

    @property
    def version(self) -> int:
        """Number of the registered version."""
        return self._version.version

    @property
    def record_id(self) -> str:
        """Of training's record, which leads to the run in `src.results.runs`."""
        return self._version.record_id

    @property
    def family(self) -> str:
        """Model family; of a portfolio ``ensemble``, or that of its one member."""
        return str(self._version.grade.get("family"))

    @property
    def grade(self) -> dict[str, float | None]:
        """The four graded figures; None where one is undefined."""
        return {name: self._version.grade.get(name) for name in GATED}

    @property
    def evidence(self) -> dict[str, Any]:
        """What says how likely the pass is luck, with the days that it rests on."""
        return {name: self._version.grade.get(name) for name in EVIDENCE}

    @property
    def objections(self) -> tuple[str, ...]:
        """What stands against using it now; empty where nothing does."""
        return self._version.objections

    def describe(self) -> str:
        """Describe the champion in a few lines: what it is, its figures, its evidence, what stands against it.

        Returns
        -------
        str
        """
        grade, evidence = self.grade, self.evidence
        figures = ", ".join(f"{name} {_number(value)}" for name, value in grade.items())
        days = f"{evidence['first_oos']} to {evidence['last_oos']}"
        doubts = ", ".join(f"{name} {_number(evidence[name])}" for name in ("z", "q_value", "luck_rate"))
        lines = [
            f"{self.name} version {self.version}, {self.family}, universe={self._at.dataset}",
            f"graded on {evidence['n_oos'] or 0:,} out-of-sample bars, {days}",
            f"grade: {figures}",
            f"evidence: {doubts}, {evidence['n_trials'] or 0} trials",
            f"against it: {'; '.join(self.objections)}" if self.objections else "nothing stands against it",
        ]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} version {self.version}>"


@dataclass(frozen=True, repr=False)
class Champion(_Crowned):
    """The champion of one instrument.

    Its model is a refit on all bars up to ``split.until``; its grade is of the walk-forward before that.
    """

    @cached_property
    def key(self) -> Key:
        """Asset class and symbol of its instrument."""
        return self._settings.asset_class, self._settings.symbol

    @property
    def feature_names(self) -> list[str]:
        """Features in the order in which the model takes them."""
        return list(self._settings.features.hashes)

    @overload
    def features(self, bars: pl.DataFrame | pd.DataFrame, *, frame: Polars = "polars") -> pl.DataFrame: ...
    @overload
    def features(self, bars: pl.DataFrame | pd.DataFrame, *, frame: Pandas) -> pd.DataFrame: ...
    def features(self, bars: pl.DataFrame | pd.DataFrame, *, frame: Frame = "polars") -> pl.DataFrame | pd.DataFrame:
        """Compute its features of given bars, by the code that featurize runs.

        Parameters
        ----------
        bars : DataFrame
            Of its instrument, with the columns of `src.results.bars`, the whole history: some features are recursive.
        frame : {'polars', 'pandas'}

        Returns
        -------
        DataFrame
            asset_class, symbol, date and a Float32 column for each feature. What compares with the market takes the
            stored panel of the dataset, as it was last featurized.

        Raises
        ------
        ConfigError
            If the bars lack a column, or are of another instrument.
        StageError
            If the code of its features is not that of its training.
        """
        return as_frame(self._features(self._own(bars)), frame)

    @overload
    def predict(self, bars: pl.DataFrame | pd.DataFrame, *, frame: Polars = "polars") -> pl.DataFrame: ...
    @overload
    def predict(self, bars: pl.DataFrame | pd.DataFrame, *, frame: Pandas) -> pd.DataFrame: ...
    def predict(self, bars: pl.DataFrame | pd.DataFrame, *, frame: Frame = "polars") -> pl.DataFrame | pd.DataFrame:
        """Decide on given bars: what `predict` says of the same bars, to the last bit.

        Parameters
        ----------
        bars : DataFrame
            As `features` takes them.
        frame : {'polars', 'pandas'}

        Returns
        -------
        DataFrame
            One row a tradable bar: asset_class, symbol, date, score (probability of a rise from the next open on),
            exposure, size, position (exposure times size), before (position at the bar before), cost_rate, hedge, and
            in_sample: whether the model was trained on the bar, so that its score says nothing of its skill.

        Raises
        ------
        ConfigError
            If the bars lack a column, or are of another instrument.
        StageError
            If it can't be vouched for: its model, features or strategy are not those that were graded.

        Examples
        --------
        >>> champion.predict(results.bars("demo", "stock.SIM01")).tail(5)  # doctest: +SKIP
        """
        from src.inspection.reading.decisions import decisions_on

        own = self._own(bars)
        return as_frame(decisions_on(self._at, self._version, self._settings, own, self._features(own)), frame)

    @cached_property
    def _settings(self) -> GradedSettings:
        from src.signals.dataset import SignalDataset
        from src.signals.graded_settings import RecordedSettings
        from src.signals.refusals import RefusedLine

        if self.objections:
            raise StageError(f"{self.name} can't be used: {'; '.join(self.objections)}")
        dataset = SignalDataset(self._at.paths, self._at.bars().manifest.interval, 0)
        try:
            return RecordedSettings(dataset, [self._version]).of(self._version)
        except RefusedLine as refusal:
            raise StageError(f"{self.name} can't be used: {refusal}") from refusal

    def _own(self, bars: pl.DataFrame | pd.DataFrame) -> pl.DataFrame:
        """Bars as they are stored, sorted by date."""
        from src.market.bars import schema

        return checked_bars(bars, self.key, schema(self._at.bars().manifest.interval))

    def _features(self, bars: pl.DataFrame) -> pl.DataFrame:
        from src.inspection.reading.decisions import features_of

        return features_of(self._at, self._version, self._settings, bars)


@dataclass(frozen=True, repr=False)
class PooledChampion(_Crowned):
    """The champion of a portfolio, which ranks all names of a class."""

    def predict(self, *_bars: object) -> pl.DataFrame:
        """Refuse, and say where its decisions are: bars of single instruments are not enough for it.

        Raises
        ------
        ConfigError
            Always.
        """
        raise ConfigError(
            f"{self.name} ranks all names of its class, so it decides on no bars of a few: "
            f'results.lines("{self._at.dataset}") has what it said, `{self._at.command("predict")}` asks it'
        )

    @overload
    def lines(self, date: dt.date | str | None = None, *, frame: Polars = "polars") -> pl.DataFrame: ...
    @overload
    def lines(self, date: dt.date | str | None = None, *, frame: Pandas) -> pd.DataFrame: ...
    def lines(self, date: dt.date | str | None = None, *, frame: Frame = "polars") -> pl.DataFrame | pd.DataFrame:
        """Read what it decided for a day's book: a row for each name that it ranks.

        Parameters
        ----------
        date : date or str, optional
            Of the book; the latest by default.
        frame : {'polars', 'pandas'}

        Returns
        -------
        DataFrame
            As `src.results.lines` gives it.
        """
        import polars as pl

        from src.inspection.reading.days import lines

        said = lines(self._at.dataset, date, root=self._at.root)
        return as_frame(said.filter(pl.col("name") == self.name), frame)


def checked_bars(bars: pl.DataFrame | pd.DataFrame, key: Key, schema: Mapping[str, Any]) -> pl.DataFrame:
    """Bring the bars of a caller to the form in which they are stored.

    Parameters
    ----------
    bars : DataFrame
        Of Polars or pandas.
    key : (asset_class, symbol)
        The instrument that they must be of.
    schema : mapping
        Columns of stored bars, with their types.

    Raises
    ------
    ConfigError
        If a column is missing, a bar is of another instrument or occurs twice, or there is none.
    """
    import polars as pl

    table = bars if isinstance(bars, pl.DataFrame) else pl.from_pandas(bars)
    name = ".".join(key)
    missing = [column for column in schema if column not in table.columns and column != "repaired"]
    if missing:
        raise ConfigError(f"bars of {name} lack {', '.join(missing)}: results.bars gives all columns")
    if "repaired" not in table.columns:
        table = table.with_columns(repaired=pl.lit(False))
    table = table.select(pl.col(column).cast(kind) for column, kind in schema.items()).sort("date")
    if table.select(KEY).unique().rows() != [key]:
        raise ConfigError(f"{name} decides on its own bars, got those of {table.select(KEY).unique().rows()}")
    if table["date"].is_duplicated().any():
        raise ConfigError(f"bars of {name} have a date twice")
    return table


def _number(value: object) -> str:
    """Write a figure; a dash where it is undefined."""
    return f"{value:.3g}" if isinstance(value, int | float) else "\N{EN DASH}"
