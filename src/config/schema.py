"""Typed schema of conf/: a misspelt key, a wrong type or a value out of range fails before any work.

Every group of ``conf/`` is a dataclass here. Hydra checks names and types against it; `src.config.constraints` holds
the ranges and the rules between fields. Stages receive a `Config`; libraries receive the part of it that they need.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from src.config.paths import DatasetPaths

INDICATOR_LIBRARIES = ("pandas_ta", "talib")


@dataclass
class UniverseConfig:
    """Which instruments. A limit of null takes every instrument of the class that the source lists."""

    name: str = "demo"
    interval: str = "1d"
    stock: int | None = None
    etf: int | None = None
    crypto: int | None = None
    symbols: list[str] = field(default_factory=list)  # "AAPL" or "stock:AAPL"
    file: str | None = None  # CSV with a column symbol, or one symbol a line
    buckets: int = 4  # shards of the stored tables
    panel: int = 100  # instruments of each class in the pinned panel of market-relative features
    allow_simulated: bool = False
    pinned: str | None = None  # CSV of the dated list that live sources take, where limits are given
    types: list[str] = field(default_factory=lambda: ["common", "adr"])  # of stocks, as the exchanges' directory tells
    otc: bool = False  # names of the SEC's list that trade over the counter
    as_of: str | None = None  # membership as the kept listings had it that day, YYYY-MM-DD; null takes the latest
    options: int = 0  # most traded underlyings whose option chains are kept


@dataclass
class SimulatedSource:
    """How many invented instruments of each class, and how strong the planted edge is."""

    stock: int = 18
    etf: int = 8
    crypto: int = 6
    first: str = "2014-01-02"
    edge: float = 0.18  # share of one-bar volatility that the planted signal predicts
    seed: int = 2024


@dataclass
class LiveSource:
    """How live providers are asked: politely, for hours where need be."""

    chain: dict[str, list[str]] = field(default_factory=dict)  # by class: stooq or folder first, then who tops up
    start: str = "2014-01-01"  # first date wanted
    workers: int = 6  # threads that fetch
    batch_size: int = 200  # instruments fetched between two writes of the store
    rates: dict[str, float] = field(default_factory=dict)  # requests a second to begin with, by provider
    ceilings: dict[str, float] = field(default_factory=dict)  # and at most, where nothing is refused
    pause: float = 60.0  # seconds without a request after refusals that name no time; doubles each time
    max_pause: float = 3600.0  # seconds
    patience_hours: float = 12.0  # without one good answer, then the run ends, saved
    timeout: float = 30.0  # seconds for one request
    tries: int = 4  # of an instrument in one run, refusals not counted
    retry_hours: float = 6.0  # before a failed instrument is due again; doubles each time
    overlap_bars: int = 10  # asked again at each refresh and compared
    proxy: str | None = None  # null: HTTPS_PROXY of the environment
    ca_file: str | None = None  # certificates of a proxy that opens TLS; null: SSL_CERT_FILE of the environment
    contact: str | None = None  # e-mail address that the SEC demands of whoever asks for its list


@dataclass
class SourceConfig:
    """Where bars come from: a provider or a layout (`kind`), and its path where it reads files."""

    kind: str = "simulated"  # simulated | folder | stooq | yahoo | ccxt | auto
    path: str = "data/source"
    asset_class: str | None = None  # for files that do not say
    columns: dict[str, str] = field(default_factory=dict)  # our name -> the files' column name
    basis: str = "auto"  # split_adjusted | total_return | auto: by the presence of adj_close, per instrument
    simulated: SimulatedSource = field(default_factory=SimulatedSource)
    live: LiveSource = field(default_factory=LiveSource)


@dataclass
class OptionsConfig:
    """Option chains: where they come from, and what their valuation assumes."""

    path: str | None = None  # files of chains of one's own; null asks the live source
    risk_free: float = 0.04  # a year, continuously compounded
    max_expiries: int = 40  # of an underlying, the nearest first


@dataclass
class DataConfig:
    """What every stage reads and writes, relative to the project's root."""

    until: str | None = None  # last date hydrated, YYYY-MM-DD; null takes all that the source has
    root: str = "data"
    reports: str = "reports"
    logs: str = "logs"


@dataclass
class FeaturesConfig:
    """Which declared features: by family or by name; `exclude` wins. What is in `extra` and `files` comes on top."""

    name: str = "all"
    families: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    extra: list[dict[str, Any]] = field(default_factory=list)  # {pandas_ta: supertrend, length: 10} or {talib: CCI}
    files: list[str] = field(default_factory=list)  # Python files of your own declarations


@dataclass
class LabelConfig:
    """The direction of the next tradable return (contract 3 of the design)."""

    name: str = "next_open"
    horizon: int = 1  # bars from entry to exit
    tolerance: float = 1e-6  # a return of this magnitude or less is zero
    relative: bool = False  # against the median return of the pinned panel on the same bar


@dataclass
class SplitConfig:
    """Purged, embargoed walk-forward with fold boundaries at fixed dates."""

    name: str = "walk_forward"
    until: str | None = None  # last bar that training may use, YYYY-MM-DD; null takes all
    anchor: str = "2000-07-01"
    fold_months: int = 18
    first_train_bars: int = 500
    embargo: int = 5  # bars
    min_density: float = 0.9  # share of the class's bars a year below which an instrument is skipped


@dataclass
class StrategyConfig:
    """From probabilities to positions, and what trading them costs."""

    name: str = "long_flat"
    short: bool = False
    threshold: float = 0.5  # probability above which the position is long
    target_volatility: float = 0.10  # annual
    volatility_window: int = 63  # bars of close-to-close returns up to the decision
    max_leverage: float = 1.0
    cost_bps: dict[str, float] = field(default_factory=lambda: {"stock": 5.0, "etf": 5.0, "crypto": 10.0})
    half_cent: float = 0.005  # price units over the as-traded price, per unit of turnover (stock and etf)
    spread_window: int = 63  # bars of the trailing mean of the spread estimate


@dataclass
class ModelConfig:
    """One model family with its settings; `model=all` names several files by `members` and has none itself."""

    family: str = "???"
    members: list[str] = field(default_factory=list)  # files; who names an asset class takes it
    params: Any = None
    device: str = "cpu"
    classes: list[str] = field(default_factory=list)  # asset classes that it is for; empty: all
    trials: int = 0  # tuning trials among which the params were chosen
    tuned_before: str | None = None  # the tuning read no bar from this date on, YYYY-MM-DD


@dataclass
class GradeConfig:
    """The one gate: thresholds, out-of-sample bars demanded, and the settings of the evidence."""

    name: str = "default"
    min_auc: float = 0.52
    min_accuracy: float = 0.51
    min_sharpe: float = 0.5
    max_drawdown: float = 0.20
    min_oos: int = 500  # out-of-sample bars to be registered
    min_oos_promote: int = 1000  # and to be promoted
    common_shifts: int = 200
    exclude_lags: int = 126
    suspicious_auc: float = 0.65
    suspicious_sharpe: float = 3.0


@dataclass
class EngineConfig:
    """How the work is spread; null workers means one for each core."""

    kind: str = "local"
    workers: int | None = None
    batch_size: int = 20  # instruments in flight
    memory_gib: float | None = None  # a worker that takes more ends; null: its part of what the machine has
    address: str | None = None  # ray: of a running cluster; null starts one on this machine
    data: str | None = None  # ray: a folder or bucket that every node reaches; null sends data through Ray


@dataclass
class TuneConfig:
    """How settings are searched for inside the first training window; see docs/tuning.md."""

    trials: int = 40  # of each family and class in all, the default settings' own included
    instruments: int = 40  # that each trial is tried on; as many others confirm the winner
    by: str = "class"  # one study for each asset class, or one for all of them
    batch: int = 10  # instruments between two looks at whether a trial is worth going on
    prune_p: float = 0.1  # a trial ends where it is behind the best one with a Wilcoxon p-value below this; 0: never
    fold_months: int = 6  # of the walk-forward inside the window
    first_train_bars: int = 250  # before its first validation
    min_gain: float = 2.0  # standard errors by which a winner must beat the default settings on other instruments
    max_cost: float = 2.0  # CPU of a trial, as estimated, in units of the default settings'
    timeout: float | None = None  # seconds after which no trial is begun
    before: str | None = None  # read no bar from this date on; null: the class's first out-of-sample date
    force: bool = False  # write the winner even where it isn't better by `min_gain`
    overwrite: bool = False  # replace files of conf/model that a person wrote or changed
    name: str | None = None  # of the files; null: the dataset's
    folder: str = "conf/model"


@dataclass
class TrackingConfig:
    """Where MLflow keeps runs and models; a relative sqlite path is under the project's root."""

    uri: str = "sqlite:///mlruns/mlflow.db"  # or postgresql://<user>@<host>/<database>, or http://<server>
    route: str = "auto"  # bulk: inserts into sqlite; client: MLflow's own; auto: bulk where it is tested
    artifacts: str = "mlruns/artifacts"  # a folder, or s3://<bucket>/<prefix>; a server keeps them itself
    experiment: str = "alpha-loop"
    enabled: bool = True


@dataclass
class Config:
    """The whole resolved configuration of one command."""

    universe: UniverseConfig = field(default_factory=UniverseConfig)
    source: SourceConfig = field(default_factory=SourceConfig)
    options: OptionsConfig = field(default_factory=OptionsConfig)
    data: DataConfig = field(default_factory=DataConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    label: LabelConfig = field(default_factory=LabelConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    strategy: StrategyConfig = field(default_factory=StrategyConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    grade: GradeConfig = field(default_factory=GradeConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    tune: TuneConfig = field(default_factory=TuneConfig)
    experiment: Any = None
    seed: int = 7
    fresh: bool = False
    only: list[str] = field(default_factory=list)  # narrow a stage to these symbols
    retry: str | None = None  # failed: at once what failed; all: also what is fresh; whole: every series from its start
    follow: bool = False  # train: featurize, train and report again until hydration has nothing pending

    @property
    def dataset(self) -> str:
        """Name of the stored tables: the universe, and the interval unless daily."""
        daily = self.universe.interval == "1d"
        return self.universe.name if daily else f"{self.universe.name}-{self.universe.interval}"

    @property
    def paths(self) -> DatasetPaths:
        """Where everything stored of the dataset lies."""
        return DatasetPaths(Path(self.data.root), self.dataset, Path(self.data.reports))

    @property
    def hydrate_command(self) -> str:
        """What to type to have bars of this dataset; from live providers where no source of real bars is chosen."""
        words = [f"python -m src.hydrate universe={self.universe.name}"]
        if self.universe.interval != "1d":
            words.append(f"universe.interval={self.universe.interval}")
        if self.source.kind != "simulated":
            words.append(f"source={self.source.kind}")
        elif not self.universe.allow_simulated:
            words.append("source=auto")
        return " ".join(words)
