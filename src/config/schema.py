"""Typed schema of conf/: a misspelt key, a wrong type or a value out of range fails before any work.

Every group of ``conf/`` is a dataclass here. Hydra checks names and types against it; a field carries its own range,
choices or form, and `src.config.constraints` checks these and the rules between fields. Verbs receive a `Config`;
libraries receive the sections that they need.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.config.commands import command, typed_keys
from src.config.paths import DatasetPaths
from src.config.pooled_sections import EligibilityConfig, PortfolioConfig, ScopeConfig
from src.config.research_sections import ResearchConfig
from src.config.search_sections import TrackingConfig, TuneConfig
from src.config.signal_sections import BookConfig, DailyConfig, Demands, MonitorConfig, PromotionConfig
from src.core.field_rules import OPTION_NAME, TIME_ZONE, Pattern, constrained, dated, named, one_of, ranged, secret
from src.core.instruments import ASSET_CLASSES
from src.models.registry import FAMILIES

_INTERVAL = Pattern(re.compile(r"[1-9]\d{0,2}(m|h|d|wk|mo)"), "a number and m, h, d, wk or mo")
_USUAL_RATES = "0.5 for yahoo and 5 for an exchange are usual"
INDICATOR_LIBRARIES = ("pandas_ta", "talib")
__all__ = [  # besides what is defined here
    "BookConfig",
    "DailyConfig",
    "Demands",
    "EligibilityConfig",
    "MonitorConfig",
    "PortfolioConfig",
    "PromotionConfig",
    "ResearchConfig",
    "ScopeConfig",
    "TrackingConfig",
    "TuneConfig",
]


@dataclass
class UniverseConfig:
    """Which instruments; a limit of null takes all instruments of the class that the source lists."""

    name: str = named("demo")
    interval: str = constrained("1d", _INTERVAL)
    stock: int | None = ranged(None, low=0, high=10_000_000, unit="instruments")
    etf: int | None = ranged(None, low=0, high=10_000_000, unit="instruments")
    crypto: int | None = ranged(None, low=0, high=10_000_000, unit="instruments")
    symbols: list[str] = field(default_factory=list)  # "AAPL" or "stock:AAPL"
    file: str | None = None  # CSV with a column symbol, or one symbol a line
    buckets: int = ranged(4, low=1, high=1024, unit="shards")  # shards of the stored tables
    # Instruments of each class in the pinned panel of market-relative features.
    panel: int = ranged(100, low=1, high=10_000_000, unit="instruments")
    allow_simulated: bool = False
    pinned: str | None = None  # CSV of the dated list that live sources take, where limits are given
    types: list[str] = field(default_factory=lambda: ["common", "adr"])  # of stocks, by the exchanges' directory
    otc: bool = False  # also stocks of the SEC's list that trade over the counter
    # Take the members that the stored listings had on this day, YYYY-MM-DD; null takes the latest.
    as_of: str | None = dated(None)
    # Number of underlyings, the most traded first, whose option chains are stored.
    options: int = ranged(0, low=0, high=100_000, unit="underlyings")


@dataclass
class SimulatedSource:
    """How many simulated instruments of each class, and how strong the planted edges are."""

    stock: int = ranged(18, low=0, high=100_000, unit="instruments")
    etf: int = ranged(8, low=0, high=100_000, unit="instruments")
    crypto: int = ranged(6, low=0, high=100_000, unit="instruments")
    first: str = dated("2014-01-02")
    edge: float = ranged(0.18, low=0, high=1)  # share of one-bar volatility that the planted signal predicts
    pooled_edge: float = ranged(0.0, low=0, high=1)  # the same of the interest in a stock, which its volume shows
    seed: int = ranged(2024, low=0, high=2**32 - 1)


@dataclass
class LiveSource:
    """How requests to live providers are paced, repeated and given up."""

    chain: dict[str, list[str]] = field(
        default_factory=dict
    )  # by class: stooq or folder first, then providers that top up
    start: str = dated("2014-01-01")  # first date wanted
    workers: int = ranged(6, low=1, high=64, unit="threads")  # threads for requests
    # Instruments fetched between two writes of the store.
    batch_size: int = ranged(200, low=1, high=100_000, unit="instruments")
    # Requests a second at the start, by provider.
    rates: dict[str, float] = ranged({}, low=0, high=10_000, unit="requests a second", above=True, remedy=_USUAL_RATES)
    # The most that they rise to while no request is refused.
    ceilings: dict[str, float] = ranged(
        {}, low=0, high=10_000, unit="requests a second", above=True, remedy=_USUAL_RATES
    )
    # Seconds to wait after a refusal that names no time; doubles each time.
    pause: float = ranged(60.0, low=0, high=86_400, unit="seconds", above=True)
    max_pause: float = ranged(3600.0, low=0, high=86_400, unit="seconds", above=True)
    # Without a single good answer for this long, the run ends; what it fetched is stored.
    patience_hours: float = ranged(12.0, low=0, high=10_000, unit="hours", above=True)
    timeout: float = ranged(30.0, low=0, high=3600, unit="seconds", above=True)  # seconds for one request
    tries: int = ranged(4, low=1, high=100, unit="tries")  # for each instrument in one run; refusals do not count
    # Until a failed instrument is tried again; doubles each time.
    retry_hours: float = ranged(6.0, low=0, high=10_000, unit="hours")
    overlap_bars: int = ranged(10, low=2, high=1000, unit="bars")  # fetched again at each refresh and compared
    proxy: str | None = secret(None)  # null: HTTPS_PROXY of the environment
    ca_file: str | None = None  # certificates of a proxy that decrypts TLS; null: SSL_CERT_FILE
    contact: str | None = secret(None, whole=True)  # e-mail address, which the SEC requires with requests for its list


@dataclass
class SourceConfig:
    """Where bars come from: a provider or a file layout (`kind`), and the path of files."""

    kind: str = "simulated"  # a source of src/sources; auto: a chain of several for each asset class
    path: str = "data/source"
    asset_class: str | None = one_of(None, ASSET_CLASSES)  # of files that do not state it
    columns: dict[str, str] = field(default_factory=dict)  # our name: the name of the column in the files
    # Of times without an offset from UTC; null takes America/New_York for stocks and ETFs, UTC for crypto.
    time_zone: str | None = constrained(None, TIME_ZONE)
    # `auto` decides for each instrument by whether it has a column adj_close.
    basis: str = one_of("auto", ("auto", "split_adjusted", "total_return"))
    simulated: SimulatedSource = field(default_factory=SimulatedSource)
    live: LiveSource = field(default_factory=LiveSource)


@dataclass
class OptionsConfig:
    """Where option chains come from, and what their valuation assumes."""

    path: str | None = None  # your own files of option chains; null takes the live source
    risk_free: float = ranged(0.04, low=-0.1, high=1, unit="a year")  # a year, continuously compounded
    max_expiries: int = ranged(40, low=1, high=1000, unit="expiries")  # of each underlying, the nearest first


@dataclass
class DataConfig:
    """Folders that the stages read and write, relative to the project's root."""

    until: str | None = dated(None)  # last date to hydrate, YYYY-MM-DD; null takes all dates
    root: str = "data"
    reports: str = "reports"
    logs: str = "logs"


@dataclass
class FeaturesConfig:
    """Which features, by family or by name; `exclude` overrides both, `extra` and `files` are added to them."""

    name: str = constrained("all", OPTION_NAME)
    families: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    extra: list[dict[str, Any]] = field(default_factory=list)  # {pandas_ta: supertrend, length: 10} or {talib: CCI}
    files: list[str] = field(default_factory=list)  # Python files of your own declarations


@dataclass
class LabelConfig:
    """What is predicted: a direction over some bars from the next open on (contract 3 of the design)."""

    name: str = named("next_open")
    kind: str = "outright"  # outright | relative (to the panel's mean) | beta, or another of src/evaluation/label_kinds
    horizon: int = ranged(1, low=1, high=260, unit="bars")  # bars from entry to exit
    tolerance: float = ranged(1e-6, low=0, high=0.01)  # a return of this magnitude or less is zero
    params: dict[str, Any] = field(default_factory=dict)  # settings of the kind's own


@dataclass
class SplitConfig:
    """Purged, embargoed walk-forward with fold boundaries at fixed dates."""

    name: str = named("walk_forward")
    until: str | None = dated(None)  # last bar that training may use, YYYY-MM-DD; null takes all
    anchor: str = dated("2000-07-01")
    fold_months: int = ranged(18, low=1, high=120, unit="months")
    first_train_bars: int = ranged(500, low=50, high=100_000, unit="bars")
    embargo: int = ranged(5, low=0, high=1000, unit="bars")
    # Instruments with less than this share of the class's bars a year are skipped.
    min_density: float = ranged(0.9, low=0, high=1)


@dataclass
class StrategyConfig:
    """How probabilities become positions, and what trading them costs."""

    name: str = named("long_flat")
    short: bool = False
    threshold: float = ranged(0.5, low=0, high=1)  # the position is long above this probability
    target_volatility: float = ranged(0.10, low=0, high=2, unit="a year", above=True)
    # Close-to-close returns up to the decision that estimate the volatility.
    volatility_window: int = ranged(63, low=5, high=1000, unit="bars")
    max_leverage: float = ranged(1.0, low=0, high=10, above=True)
    cost_bps: dict[str, float] = ranged(
        {"stock": 5.0, "etf": 5.0, "crypto": 10.0}, low=0, high=1000, unit="basis points"
    )
    # In units of the as-traded price, per unit of turnover (stock and etf).
    half_cent: float = ranged(0.005, low=0, high=1)
    spread_window: int = ranged(63, low=1, high=1000, unit="bars")  # bars of the trailing mean of the spread estimate


@dataclass
class ModelConfig:
    """One model family with its settings; `model=all` has none itself and lists files of families in `members`."""

    family: str = one_of("???", (*FAMILIES, "all", "ensemble"))  # ensemble: the rank mean of its members
    members: list[str] = field(
        default_factory=list
    )  # files of conf/model; one with `classes` takes these from the others of its family
    params: Any = None
    pooled: Any = None  # params of scope=pooled; null takes `params`
    device: str = one_of("cpu", ("cpu", "cuda"))
    classes: list[str] = field(default_factory=list)  # asset classes to train; empty: all
    trials: int = ranged(0, low=0, high=10_000_000, unit="trials")  # tuning trials that the params were chosen from
    tuned_before: str | None = dated(None)  # tuning read only bars before this date, YYYY-MM-DD


@dataclass
class GradeConfig:
    """The gate: thresholds, required out-of-sample bars, and the settings of the evidence."""

    name: str = named("default")
    min_auc: float = ranged(0.52, low=0, high=1)
    min_accuracy: float = ranged(0.51, low=0, high=1)
    min_sharpe: float = ranged(0.5, low=-10, high=10)
    max_drawdown: float = ranged(0.20, low=0, high=1, above=True)
    min_oos: int = ranged(500, low=1, high=100_000, unit="bars")  # out-of-sample bars required to register
    min_oos_promote: int = ranged(1000, low=1, high=100_000, unit="bars")  # and to promote
    common_shifts: int = ranged(200, low=20, high=10_000, unit="shifts")
    exclude_lags: int = ranged(126, low=0, high=10_000, unit="bars")
    suspicious_auc: float = ranged(0.65, low=0.5, high=1)
    suspicious_sharpe: float = ranged(3.0, low=0, high=100, above=True)
    suspicious_z: float = ranged(6.0, low=0, high=100, above=True)  # together with an AUC of suspicious_z_auc
    suspicious_z_auc: float = ranged(0.58, low=0.5, high=1)


@dataclass
class EngineConfig:
    """How work is distributed; null workers means one for each core."""

    kind: str = one_of("local", ("local", "ray"))
    workers: int | None = ranged(None, low=1, high=4096, unit="processes")
    batch_size: int = ranged(20, low=1, high=100_000, unit="instruments")  # instruments in work at a time
    # A worker that takes more is stopped; null: its share of the machine's memory.
    memory_gib: float | None = ranged(None, low=0, high=100_000, unit="GiB", above=True)
    address: str | None = None  # of a running Ray cluster; null starts one on this machine
    data: str | None = None  # folder or bucket that every Ray node can read; null sends data through Ray


@dataclass
class Config:
    """The whole resolved configuration of one command."""

    universe: UniverseConfig = field(default_factory=UniverseConfig)
    source: SourceConfig = field(default_factory=SourceConfig)
    options: OptionsConfig = field(default_factory=OptionsConfig)
    research: ResearchConfig = field(default_factory=ResearchConfig)
    data: DataConfig = field(default_factory=DataConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    label: LabelConfig = field(default_factory=LabelConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    strategy: StrategyConfig = field(default_factory=StrategyConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    scope: ScopeConfig = field(default_factory=ScopeConfig)
    eligibility: EligibilityConfig = field(default_factory=EligibilityConfig)
    portfolio: PortfolioConfig = field(default_factory=PortfolioConfig)
    grade: GradeConfig = field(default_factory=GradeConfig)
    promotion: PromotionConfig = field(default_factory=PromotionConfig)
    book: BookConfig = field(default_factory=BookConfig)
    monitor: MonitorConfig = field(default_factory=MonitorConfig)
    daily: DailyConfig = field(default_factory=DailyConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    experiment: Any = None
    seed: int = ranged(7, low=0, high=2**31 - 1)
    fresh: bool = False
    only: list[str] = field(default_factory=list)  # restrict a stage to these symbols
    # failed: at once what failed; all: also what is up to date; whole: all series from their start.
    retry: str | None = one_of(None, ("failed", "all", "whole"))
    follow: bool = False  # train: featurize, train and report in rounds until hydration ends
    # train: share of the instruments that are trained once more with features rotated in time; see docs/placebo.md.
    placebo: float = ranged(0.0, low=0, high=1, remedy="placebo=0.05 is usual, and 0 leaves it out")
    placebo_only: bool = False  # train: the placebo arm without the session's own runs
    date: str | None = dated(None)  # predict: day of the book, YYYY-MM-DD; null takes the latest that has bars
    dry_run: bool = False  # promote: say what would be done, and do nothing
    # daily: at the first run of a period, move split_until to its start, train challengers and promote.
    refit: str | None = one_of(None, ("monthly", "quarterly", "yearly"))

    @property
    def dataset(self) -> str:
        """Name of the stored tables: the universe, and the interval unless daily."""
        daily = self.universe.interval == "1d"
        return self.universe.name if daily else f"{self.universe.name}-{self.universe.interval}"

    @property
    def paths(self) -> DatasetPaths:
        """Where the dataset's stored things lie."""
        shared, documents = self.book.shared_journal, self.research.folder
        return DatasetPaths(
            Path(self.data.root),
            self.dataset,
            Path(self.data.reports),
            None if shared is None else Path(shared),
            None if documents is None else Path(documents),
        )

    @property
    def hydrate_command(self) -> str:
        """Command that fetches bars of this dataset, from live providers if no source of real bars is chosen."""
        typed, words = typed_keys(), []
        if self.universe.interval != "1d" and "universe.interval" not in typed:
            words.append(f"universe.interval={self.universe.interval}")
        if not {"source", "source.kind"} & set(typed):
            if self.source.kind != "simulated":
                words.append(f"source={self.source.kind}")
            elif not self.universe.allow_simulated:
                words.append("source=auto")
        return command("hydrate", *words, dataset=self.universe.name)
