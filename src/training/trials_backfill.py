"""Open the ledger of trials for a session, after it has taken in what it lacks of the run store.

It lacks the runs of a store that is older than the ledger or came from another machine, and runs whose session was
killed between their fit and the end of their bucket: their figures were in the log, so they count.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import logging
from typing import Any

import polars as pl

from src.config.schema import StrategyConfig
from src.core.instruments import KEY
from src.storage import atomic
from src.training import run_key
from src.training.inputs import Inputs
from src.training.run_store import RunStore
from src.training.series_match import fingerprint
from src.training.settings import TrainingSettings
from src.training.trials import TrialCounter
from src.training.trials_ledger import SERIES_SCHEMA, TRIALS_SCHEMA, TrialsLedger

log = logging.getLogger(__name__)
_GRADED = {**dict.fromkeys(("run_key", "session_key"), pl.String), "first_oos": pl.Date, "last_oos": pl.Date}
_BARS = [*KEY, "bars"]


def open_trials(
    settings: TrainingSettings, store: RunStore, inputs: Inputs, session_key: str, stored_keys: set[str]
) -> TrialCounter:
    """Open the ledger for a session.

    Parameters
    ----------
    settings : TrainingSettings
    store : RunStore
    inputs : Inputs
        Instruments and the hash of bars.
    session_key : str
    stored_keys : set of str
        Keys of all runs of the store.

    Returns
    -------
    TrialCounter

    Raises
    ------
    StageError
        If a file can't be read; the message names it.
    """
    ledger = TrialsLedger(settings.paths.trials, settings.dataset)
    ledger.merge()
    if count := take_in(ledger, store, settings.interval, stored_keys):
        log.info("%d trials of earlier runs were taken into %s", count, settings.paths.trials)
    strategy = run_key.strategy_settings_key(settings.strategy)
    instruments = inputs.instruments.select(KEY).rows()
    return TrialCounter(ledger, settings, session_key, strategy, instruments, inputs.bars_hash)


def take_in(ledger: TrialsLedger, store: RunStore, interval: str, stored_keys: set[str]) -> int:
    """Add to the ledger what it lacks of a run store.

    Parameters
    ----------
    ledger : TrialsLedger
        Of the store's dataset.
    store : RunStore
    interval : str
        Length of a bar.
    stored_keys : set of str
        Keys of all runs of the store.

    Returns
    -------
    int
        Number of trials that were taken in.

    Raises
    ------
    StageError
        If a file can't be read; the message names it.
    """
    missing = stored_keys - ledger.run_keys()
    sessions = store.graded_sessions() - ledger.sessions()
    if not missing and not sessions:
        return 0
    runs = store.runs((*KEY, "run_key", "family", "session_key", "parts", "created_at"))
    graded = _graded(store, sessions)
    runs = runs.filter(pl.col("run_key").is_in([*missing, *graded["run_key"]])).unique("run_key", maintain_order=True)
    parts = [json.loads(text) for text in runs["parts"]]
    runs = runs.with_columns(
        bars=pl.Series([str(each.get("bars", "")) for each in parts], dtype=pl.String),
        settings=pl.Series([run_key.settings_key(each) for each in parts], dtype=pl.String),
        label=pl.Series([str((each.get("label") or {}).get("kind", "")) for each in parts], dtype=pl.String),
    )
    series, traded = _series(store, runs, interval)
    alone = runs.filter(~pl.col("run_key").is_in(graded["run_key"].to_list())).join(traded, on=_BARS)
    graded = pl.concat([graded, alone.select(list(_GRADED))])
    rows = _rows(store, graded, runs.join(traded.select(*_BARS, "series", "last_bar"), on=_BARS), interval, ledger)
    for (session,), part in rows.group_by("session_key", maintain_order=True):
        names = part.select("asset_class", "series").unique()
        ledger.add(str(session), "before", part, series.join(names, on=["asset_class", "series"], how="semi"))
    ledger.merge()
    return rows.height


def _graded(store: RunStore, sessions: set[str]) -> pl.DataFrame:
    """Runs that sessions graded: run_key, session_key, first_oos, last_oos."""
    parts = [pl.DataFrame(schema=_GRADED)]
    for session in sorted(sessions):
        rows = store.grades(session)
        if rows.height:
            parts.append(rows.select("run_key", pl.col("graded_by").alias("session_key"), "first_oos", "last_oos"))
    return pl.concat(parts).unique(["run_key", "session_key"], keep="first", maintain_order=True)


def _series(store: RunStore, runs: pl.DataFrame, interval: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Fingerprints from the stored predictions of one run for each instrument and bars, and the dates of the bars."""
    outright_first = runs.sort(pl.col("label") != "outright", maintain_order=True)  # others may hold hedged returns
    chosen = outright_first.unique(_BARS, keep="first", maintain_order=True)
    prints: dict[tuple[str, str], tuple[Any, ...]] = {}
    traded = []
    for bucket in store.buckets():
        ids = chosen["record_id"].to_list()
        for row in store.predictions(bucket, ids).join(chosen, on="record_id").iter_rows(named=True):
            dates = pl.Series(row["oos_date"]).to_numpy()
            sample = fingerprint(dates, pl.Series(row["oos_bar_return"], dtype=pl.Float64).to_numpy())
            prints[row["asset_class"], sample.key] = (
                sample.key, row["asset_class"], interval, sample.minutes, sample.returns,
            )  # fmt: skip
            days = (row["oos_date"][0].date(), row["oos_date"][-1].date())
            traded.append((*(row[name] for name in _BARS), sample.key, *days, row["oos_stamp"][-1]))
    schema = dict.fromkeys((*_BARS, "series"), pl.String()) | {
        **dict.fromkeys(("first_oos", "last_oos"), pl.Date()), "last_bar": pl.Datetime("us"),
    }  # fmt: skip
    table = pl.DataFrame(traded, schema=schema, orient="row").unique(_BARS, keep="first", maintain_order=True)
    return pl.DataFrame(list(prints.values()), schema=SERIES_SCHEMA, orient="row"), table


def _rows(
    store: RunStore, graded: pl.DataFrame, runs: pl.DataFrame, interval: str, ledger: TrialsLedger
) -> pl.DataFrame:
    """Rows of the ledger, in its columns."""
    joined = graded.join(runs.drop("session_key"), on="run_key")
    sessions = {key: _description(store, key) for key in joined["session_key"].unique()}
    strategies = {key: _strategy(found, key) for key, found in sessions.items()}
    first = dict(runs.group_by("session_key").agg(pl.col("created_at").min()).iter_rows())
    seen = {key: min(first.get(key, dt.datetime.max.replace(tzinfo=dt.UTC)), store.graded_at(key)) for key in sessions}
    rows = joined.with_columns(
        interval=pl.lit(interval),
        dataset=pl.lit(ledger.dataset),
        strategy=pl.col("session_key").replace_strict(strategies, return_dtype=pl.String()),
        seen=pl.col("session_key").replace_strict(seen, return_dtype=pl.Datetime("us", "UTC")),
    )
    trials = [run_key.trial_key(*row) for row in rows.select("run_key", "strategy").iter_rows()]
    return rows.with_columns(trial=pl.Series(trials, dtype=pl.String())).select(list(TRIALS_SCHEMA))


def _description(store: RunStore, session_key: str) -> dict[str, Any]:
    path = store.root / f"session-{session_key[:8]}.json"
    found: dict[str, Any] = atomic.read_json(path) if path.is_file() else {}
    return found


def _strategy(description: dict[str, Any], session_key: str) -> str:
    """Key of a session's strategy; where its description is lost, that of a strategy like no other."""
    import yaml

    settings = (yaml.safe_load(description.get("config_yaml") or "") or {}).get("strategy")
    if not isinstance(settings, dict):
        return f"of session {session_key}"
    names = {field.name for field in dataclasses.fields(StrategyConfig)}
    return run_key.strategy_settings_key(StrategyConfig(**{k: v for k, v in settings.items() if k in names}))
