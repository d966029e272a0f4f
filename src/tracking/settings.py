"""What projecting one dataset into MLflow depends on, and the thresholds that the registry demands."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from src.config.commands import command, setting, typed_keys
from src.config.constraints import settings as settings_of
from src.config.paths import DatasetPaths
from src.config.schema import (
    Config,
    DataConfig,
    EligibilityConfig,
    GradeConfig,
    PortfolioConfig,
    StrategyConfig,
    TrackingConfig,
    UniverseConfig,
)
from src.core.errors import ConfigError
from src.core.project import main_checkout
from src.evaluation.grade import Thresholds
from src.market.bars import BarStore
from src.runtime.redaction import masked_address
from src.sources.registry import is_simulated


@dataclass(frozen=True)
class TrackedDataset:
    """One dataset and the store that shows its runs.

    Attributes
    ----------
    tracking : TrackingConfig
        The store.
    dataset, interval : str
        Name of the dataset, and the interval of its bars.
    strategy : StrategyConfig
        Its name and settings are shown with each run.
    grade : GradeConfig
        Thresholds that a new registry demands, see `registry_grade`; an existing one may demand more.
    sync_command : str
        The command that brings this store up to date.
    paths : DatasetPaths
        Where bars, runs and grades of the dataset lie.
    until : str or None
        Last date that training uses.
    portfolio, eligibility : PortfolioConfig, EligibilityConfig
        What pooled runs show in place of `strategy`.
    strategy_key : str or None
        Key of the portfolio that training grades pooled runs by now; None takes that of the runs at hand.
    is_dry_run : bool
        Whether nothing may be written, not even a cache.
    """

    tracking: TrackingConfig
    dataset: str
    interval: str
    strategy: StrategyConfig
    grade: GradeConfig
    sync_command: str
    paths: DatasetPaths
    until: str | None = None
    portfolio: PortfolioConfig = field(default_factory=PortfolioConfig)
    eligibility: EligibilityConfig = field(default_factory=EligibilityConfig)
    strategy_key: str | None = None
    is_dry_run: bool = field(default=False, repr=False)  # no digest of the settings knows it

    @classmethod
    def of(cls, config: Config) -> TrackedDataset:
        """Take the settings from the configuration of a command.

        Parameters
        ----------
        config : Config
        """
        return cls(
            config.tracking, config.dataset, config.universe.interval, config.strategy, registry_grade(),
            sync_command(config.universe, config.tracking, config.data), config.paths, config.split.until,
            config.portfolio, config.eligibility,
        )  # fmt: skip

    @property
    def simulated(self) -> bool:
        """Whether the bars at hand are simulated; False where there are none."""
        store = BarStore(self.paths.bars)
        return store.exists() and is_simulated(store.manifest.source)

    @property
    def thresholds(self) -> Thresholds:
        """Thresholds of the project's configuration."""
        return Thresholds.of(self.grade)

    @property
    def experiment(self) -> str:
        """Name of the dataset's MLflow experiment."""
        return f"{self.tracking.experiment}/{self.dataset}"


def registry_grade(root: Path | None = None) -> GradeConfig:
    """Grade settings that the registry demands: ``conf/grade/default.yaml`` of the project's own checkout.

    Neither the command line nor the environment can change them: a command with looser thresholds grades its own
    session by those, and registers no more models for it.

    Parameters
    ----------
    root : Path, optional
        The checkout; by default the one that this code belongs to.

    Returns
    -------
    GradeConfig
        The schema's defaults where the file does not exist or leaves a setting out.

    Raises
    ------
    ConfigError
        If the file can't be read, or a threshold is not a number in its range.
    """
    import yaml

    path = (root or main_checkout()) / "conf" / "grade" / "default.yaml"
    if not path.is_file():
        return GradeConfig()
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(
            f"the thresholds of the gate can't be read from {path} ({reason}): correct the file"
        ) from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{path} must hold one setting a line, such as min_auc: 0.52, got {settings!r}")
    names = {field.name for field in fields(GradeConfig)}
    grade = GradeConfig(**{name: value for name, value in settings.items() if name in names})
    _require_numbers(grade, path)
    return grade


def _require_numbers(grade: GradeConfig, path: Path) -> None:
    """Refuse a threshold that is not a number in the range that the schema declares."""
    usual = GradeConfig()
    for given in settings_of(grade):
        kinds = int if isinstance(getattr(usual, given.key), int) else int | float
        number = isinstance(given.value, kinds) and not isinstance(given.value, bool)
        if given.key == "name" or (number and given.value in (given.constraint or ())):
            continue
        raise ConfigError(f"{given.key} in {path} must be {given.constraint}, got {given.value!r}: correct the file")


def sync_command(universe: UniverseConfig, tracking: TrackingConfig, data: DataConfig) -> str:
    """The command that brings a dataset's store up to date, as it is typed into a shell.

    Parameters
    ----------
    universe : UniverseConfig
    tracking : TrackingConfig
    data : DataConfig

    Returns
    -------
    str
        With the settings that differ from the defaults; a password in the store's address is masked.
    """
    words = []
    if universe.interval != "1d" and "universe.interval" not in typed_keys():
        words.append(f"universe.interval={universe.interval}")
    usual = TrackingConfig()
    settings = {
        "tracking.uri": (masked_address(tracking.uri), usual.uri),
        "tracking.artifacts": (masked_address(tracking.artifacts), usual.artifacts),
        "tracking.experiment": (tracking.experiment, usual.experiment),
        "tracking.route": (tracking.route, usual.route),
        "data.root": (data.root, DataConfig().root),
    }
    words += [setting(key, value) for key, (value, default) in settings.items() if value != default]
    return command("sync", *words, dataset=universe.name)
