"""Search for better settings inside the first training window, so that every grade stays out of sample.

``python -m src.tune universe=quick model=all`` makes a study for each family and asset class and goes on with it when
run again. A winner that beats the default settings by more than its noise, on instruments that did not choose it,
becomes a file of conf/model; ``model=tuned`` then trains each family and class with its winner. ``scope=pooled`` does
the same for the settings of pooled models, by the net return of their portfolio. See docs/tuning.md.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.config.commands import command
from src.core.errors import StageError
from src.runtime.command import main
from src.runtime.terminal import answer

if TYPE_CHECKING:
    from src.config.schema import Config, EngineConfig, ModelConfig
    from src.tuning.scheduler import Search
    from src.tuning.winner_files import TunedStudy, WinnerFiles

log = logging.getLogger("src.tune")  # run as a command this module's own name is __main__


def tune(config: Config) -> str:
    """Search, confirm and write the winners.

    Parameters
    ----------
    config : Config
        The resolved configuration.

    Returns
    -------
    str
        The closing line.
    """
    from src.config.compose import families
    from src.market.choices import settled
    from src.tuning.winner_files import WinnerFiles

    config = settled("tune", config)
    models = families(config)
    _require_tunable(config, models)
    files = WinnerFiles(config.tune, config.dataset, pooled=config.scope.kind == "pooled")
    files.require_writable(_names(files, models))
    found = _pooled(config, models) if files.pooled else _by_instrument(config, models)
    for each in found:
        written = f"; written to {files.write(each.file).as_posix()}" if each.file else ""
        _show([f"{each.study.family} {each.study.scope}: {each.reason}{written}"])
    index = "ensemble" if config.model.family == "ensemble" else "all"
    files.write_index([model.family for model in models], [each.file for each in found if each.file], index)
    return _closing_line(found, files.index_name)


def _by_instrument(config: Config, models: list[ModelConfig]) -> list[TunedStudy]:
    """Search settings for models of one instrument."""
    from src.tuning import searches
    from src.tuning.settings import TuningSettings
    from src.tuning.winner import search_result
    from src.tuning.winner_files import TunedStudy, winner_file

    begun, reasons = searches.begin(TuningSettings.of(config), models)
    _show(reasons)
    _work(begun, config.engine)
    results = [search_result(search) for search in begun]
    return [
        TunedStudy(each.search.study, winner_file(each) if each.settings is not None else None, each.reason)
        for each in results
    ]


def _pooled(config: Config, models: list[ModelConfig]) -> list[TunedStudy]:
    """Search settings for models of a class's cross-section."""
    from src.runtime.progress import Progress
    from src.tuning.pooled_market import pooled_markets
    from src.tuning.pooled_search import pooled_search, pooled_study
    from src.tuning.settings import PooledTuning

    settings = PooledTuning.of(config)
    markets, reasons = pooled_markets(settings)
    _show(reasons)
    todo = [(market, model, pooled_study(settings, market, model)) for market in markets for model in models]
    before = sum(len(study.finished) for _, _, study in todo)
    total = sum(max(config.tune.trials, len(study.finished)) for _, _, study in todo)
    with Progress("tune", total, unit="trial", before=before) as progress:
        return [pooled_search(settings, *each, progress.advance) for each in todo]


def _work(searches: Sequence[Search], engine: EngineConfig) -> None:
    """Do all attempts in worker processes."""
    from src.engine import dispatch
    from src.engine.cores import worker_count
    from src.runtime.progress import Progress
    from src.tuning.scheduler import Scheduler
    from src.tuning.trial import attempt

    # On this machine two attempts a worker are in flight, so that none waits behind the pauses of others.
    in_flight = 2 * worker_count(engine) if engine.kind == "local" else engine.batch_size
    before = sum(len(search.study.finished) for search in searches)
    total = sum(max(search.tune.trials, len(search.study.finished)) for search in searches)
    scheduler = Scheduler(searches)
    with Progress("tune", total, unit="trial", before=before) as progress:
        for outcome in dispatch.run(attempt, scheduler.attempts(), dataclasses.replace(engine, batch_size=in_flight)):
            scheduler.take(outcome.item, outcome.result)
            progress.advance(scheduler.trials - progress.done)


def _require_tunable(config: Config, models: list[ModelConfig]) -> None:
    from src.core.errors import ConfigError

    if not config.paths.states("featurize").exists():
        name = config.dataset
        raise StageError(f"no features for universe={name}: run `{command('featurize', dataset=name)}` first")
    if config.only or config.fresh:
        setting = "fresh=true" if config.fresh else f"only={config.only}"
        raise ConfigError(f"{setting} is not for tune: trials once made count for good, on instruments drawn by chance")
    if any(model.trials or model.classes for model in models):
        raise ConfigError("tune begins with default settings, got tuned ones: choose model=all or one family")
    if config.tune.first_train_bars >= config.split.first_train_bars:
        raise ConfigError(
            f"tune.first_train_bars must be below split.first_train_bars={config.split.first_train_bars}, got "
            f"{config.tune.first_train_bars}: the first training window has to hold training and validation"
        )


def _names(files: WinnerFiles, models: list[ModelConfig]) -> list[str]:
    """Files that this command may write."""
    from src.core.instruments import ASSET_CLASSES
    from src.tuning.study import POOLED

    scopes: tuple[str, ...] = ("all",) if files.tune.by == "all" else ASSET_CLASSES
    if files.pooled:
        scopes = tuple(f"{POOLED}{name}" for name in ASSET_CLASSES)
    return [files.index_name, *(files.file_name(model.family, scope) for model in models for scope in scopes)]


def _closing_line(found: Sequence[TunedStudy], index_name: str) -> str:
    trials = [trial for each in found for trial in each.study.finished]
    pruned, failed = sum(trial.pruned for trial in trials), sum(trial.reason is not None for trial in trials)
    written = sum(each.file is not None for each in found)
    studies = f"{len(found)} {'study' if len(found) == 1 else 'studies'}"
    return (
        f"tune: {studies}, {len(trials):,} trials ({pruned:,} pruned, {failed:,} failed); {written} "
        f"{'winner' if written == 1 else 'winners'} written, {len(found) - written} times the default settings stay; "
        f"model={index_name} trains with them"
    )


def _show(lines: Sequence[str]) -> None:
    for line in lines:
        log.info("%s", line)
        answer(f"tune: {line}")


if __name__ == "__main__":
    main("tune", tune)
