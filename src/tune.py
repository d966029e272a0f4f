"""Search for better settings inside the first training window, so that every grade stays out of sample.

``python -m src.tune universe=quick model=all`` makes a study for each family and asset class and goes on with it when
run again. A winner that beats the default settings by more than its noise, on instruments that did not choose it,
becomes a file of conf/model; ``model=tuned`` then trains each family and class with its winner. See docs/tuning.md.
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from src.runtime.command import StageError, main

if TYPE_CHECKING:
    from src.config.schema import Config, ModelConfig
    from src.tuning.sample import Sample
    from src.tuning.scheduler import Lane
    from src.tuning.window import Window
    from src.tuning.winner import Verdict

FEWEST = 4  # instruments that search, and that confirm, below which a class is not tuned


def tune(config: Config) -> str:
    """Search, confirm and write; return the closing line."""
    from src.config.compose import families
    from src.engine import dispatch
    from src.runtime.progress import Progress
    from src.tuning import winner
    from src.tuning.scheduler import Lanes
    from src.tuning.trial import attempt

    models = families(config)
    _require_sense(config, models)
    winner.require_ours(config, _names(config, models))
    lanes, left_out = _lanes(config, models)
    _say(left_out)
    spread = dataclasses.replace(config.engine, batch_size=_in_flight(config))
    total = sum(max(config.tune.trials, len(lane.search.finished)) for lane in lanes)
    before = sum(len(lane.search.finished) for lane in lanes)
    work = Lanes(lanes)
    with Progress("tune", total, unit="trial", before=before) as progress:
        for outcome in dispatch.run(attempt, work.attempts(), spread):
            work.take(outcome.item, outcome.result)
            progress.advance(work.trials - progress.done)
    found = [winner.verdict(lane) for lane in lanes]
    for each in found:
        wrote = f"; written to {winner.write(config, each).as_posix()}" if each.settings is not None else ""
        _say([f"{each.lane.search.family} {each.lane.window.scope}: {each.words}{wrote}"])
    winner.write_index(config, [model.family for model in models], found)
    return _sentence(config, lanes, found)


def _require_sense(config: Config, models: list[ModelConfig]) -> None:
    from src.core.errors import ConfigError

    if not (Path(config.data.root) / "states" / config.dataset / "featurize.parquet").exists():
        name = config.dataset
        raise StageError(f"no features for universe={name}: run `python -m src.featurize universe={name}` first")
    if config.only or config.fresh:
        word = "fresh=true" if config.fresh else f"only={config.only}"
        raise ConfigError(f"{word} is not for tune: trials once made count for good, on instruments drawn by chance")
    if any(model.trials or model.classes for model in models):
        raise ConfigError("tune begins with default settings, got tuned ones: choose model=all or one family")
    if config.tune.first_train_bars >= config.split.first_train_bars:
        raise ConfigError(
            f"tune.first_train_bars must be below split.first_train_bars={config.split.first_train_bars}, got "
            f"{config.tune.first_train_bars}: the first training window has to hold training and validation"
        )


def _names(config: Config, models: list[ModelConfig]) -> list[str]:
    """Files that this command may write."""
    from src.core.instruments import ASSET_CLASSES
    from src.tuning.winner import file_name, index_name

    scopes = ("all",) if config.tune.by == "all" else ASSET_CLASSES
    return [index_name(config), *(file_name(config, model.family, scope) for model in models for scope in scopes)]


def _lanes(config: Config, models: list[ModelConfig]) -> tuple[list[Lane], list[str]]:
    """One search for each family and window, and words about the windows that hold too few instruments."""
    from src.tuning.sample import sample
    from src.tuning.window import windows

    lanes, left_out = [], []
    for window in windows(config):
        drawn = sample(config, window)
        if min(len(drawn.search), len(drawn.confirm)) < FEWEST:
            left_out.append(
                f"{window.scope} is not tuned: {len(window.candidates)} instruments have a walk-forward before "
                f"{window.before}, {2 * FEWEST} are needed"
            )
            continue
        lanes += [_lane(config, model, window, drawn) for model in models]
    if not lanes:
        raise StageError("; ".join(left_out))
    return lanes, left_out


def _lane(config: Config, model: ModelConfig, window: Window, drawn: Sample) -> Lane:
    """Open the study whose name holds the hash of all that a trial's value depends on."""
    from src.core.hashing import json_digest
    from src.models.registry import family
    from src.training import code_keys
    from src.tuning.scheduler import Lane
    from src.tuning.study import Search
    from src.tuning.window import inner_split

    defaults, limits = dataclasses.asdict(model.params), (config.tune.prune_p, config.tune.max_cost)
    relies_on = {
        "data": drawn.digest,
        "label": dataclasses.asdict(config.label),
        "split": dataclasses.asdict(inner_split(config)),
        "defaults": defaults,
        "device": model.device,
        "space": {name: dataclasses.asdict(bounds) for name, bounds in family(model.family).SPACE.items()},
        "tune": [config.tune.batch, *limits],
        "seed": config.seed,
        "library": family(model.family).LIBRARY.version,
        "code": code_keys.fit_code(model.family, config.label.kind),
    }
    about = {
        "before": str(window.before),
        "validated": [str(drawn.first), str(drawn.last)],
        "searching": [":".join(one.key) for one in drawn.search],
        "confirming": [":".join(one.key) for one in drawn.confirm],
        "relies_on": relies_on,
    }
    name = f"{model.family}-{window.scope}-{json_digest(relies_on)[:12]}"
    path = Path(config.data.root) / "tuning" / config.dataset / "studies.db"
    search = Search(path, name, model.family, window.scope, defaults, config.seed, *limits, about)
    return Lane(search, model, window, drawn, config.tune, config.seed)


def _in_flight(config: Config) -> int:
    """Attempts handed out at a time: on this machine two a worker, so that none waits behind others' rests."""
    from src.engine.cores import worker_count

    return 2 * worker_count(config.engine) if config.engine.kind == "local" else config.engine.batch_size


def _sentence(config: Config, lanes: list[Lane], found: list[Verdict]) -> str:
    from src.tuning.winner import index_name

    trials = [each for lane in lanes for each in lane.search.finished]
    pruned, failed = sum(each.pruned for each in trials), sum(each.fault is not None for each in trials)
    written = sum(each.settings is not None for each in found)
    studies = f"{len(lanes)} {'study' if len(lanes) == 1 else 'studies'}"
    return (
        f"tune: {studies}, {len(trials):,} trials ({pruned:,} pruned, {failed:,} failed); {written} "
        f"{'winner' if written == 1 else 'winners'} written, {len(found) - written} times the default settings stay; "
        f"model={index_name(config)} trains with them"
    )


def _say(lines: list[str]) -> None:
    import logging

    for line in lines:
        logging.getLogger("src.tune").info("%s", line)
        print(f"tune: {line}", file=sys.stdout, flush=True)  # noqa: T201 (what became of each study)


if __name__ == "__main__":
    main("tune", tune)
