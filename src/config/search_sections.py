"""Sections of the schema for the search of settings, and for where runs and models are kept."""

from __future__ import annotations

from dataclasses import dataclass

from src.core.field_rules import dated, named, one_of, ranged, secret


@dataclass
class TuneConfig:
    """How settings are searched inside the first training window; see docs/tuning.md."""

    # Total for each family and class, including the trial of the default settings.
    trials: int = ranged(40, low=1, high=100_000, unit="trials")
    # For each trial; as many others confirm the winner.
    instruments: int = ranged(40, low=4, high=100_000, unit="instruments")
    by: str = one_of("class", ("class", "all"))  # one study for each asset class, or one for all of them
    # After this many instruments, a trial that is clearly behind is stopped.
    batch: int = ranged(10, low=1, high=100_000, unit="instruments")
    # A trial is stopped if it is behind the best one with a Wilcoxon p-value below this; 0: never.
    prune_p: float = ranged(0.1, low=0, high=0.5)
    fold_months: int = ranged(6, low=1, high=120, unit="months")  # folds of the walk-forward inside the window
    first_train_bars: int = ranged(250, low=50, high=100_000, unit="bars")  # bars before its first validation
    # By which a winner must beat the default settings on other instruments.
    min_gain: float = ranged(2.0, low=0, high=100, unit="standard errors")
    # Estimated CPU time of a trial.
    max_cost: float = ranged(2.0, low=0, high=1000, unit="times the default settings' CPU", above=True)
    timeout: float | None = ranged(None, low=0, high=1e7, unit="seconds")  # no trial begins later than this
    before: str | None = dated(None)  # read only bars before this date; null: the class's first out-of-sample date
    force: bool = False  # write the winner even if it is not better by `min_gain`
    overwrite: bool = False  # replace files of conf/model that a person wrote or changed
    name: str | None = named(None)  # of the files; null: the dataset's
    folder: str = "conf/model"


@dataclass
class TrackingConfig:
    """Where MLflow stores runs and models; a relative sqlite path is relative to the project's root."""

    uri: str = secret("sqlite:///mlruns/mlflow.db")  # or postgresql://<user>@<host>/<database>, or http://<server>
    # bulk: inserts into sqlite; client: MLflow's own; auto: bulk with the releases of MLflow that it is tested with.
    route: str = one_of("auto", ("auto", "bulk", "client"))
    artifacts: str = secret("mlruns/artifacts")  # a folder or s3://<bucket>/<prefix>; a server stores them itself
    experiment: str = "alpha-loop"
    enabled: bool = True
