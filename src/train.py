"""Train, grade, track: every instrument of a universe under the chosen model families.

``python -m src.train universe=full model=all`` takes what featurize left, trains what is not yet trained, grades all
of it, projects it into MLflow and registers what clears the gate. The same command goes on after an interruption.
With ``follow=true`` it featurizes, trains and reports in rounds while hydration goes on, until nothing is pending.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from src.runtime.command import StageError, main

if TYPE_CHECKING:
    from src.config.schema import Config

log = logging.getLogger("src.train")  # run as a command this module's own name is __main__


def train(config: Config) -> str:
    """Train the configured families; write runs, grades and states; return the closing line."""
    if config.follow:
        from src.training.follow import follow

        return follow(config, lambda line: print(line, file=sys.stdout, flush=True))  # noqa: T201 (a round's answer)
    _require_features(config)
    from src.config.compose import families
    from src.engine import device, dispatch
    from src.runtime import disk_space
    from src.runtime.progress import Progress
    from src.tracking.recorder import Recorder
    from src.tracking.settings import TrackedDataset
    from src.training.session import Session
    from src.training.walk_forward import train_instrument

    started = time.perf_counter()
    models = families(config)
    device.require(models, config.engine)
    tracked = TrackedDataset.of(config)
    recorder = Recorder(tracked)
    session = Session(config, models)
    disk_space.require(session.store.root, session.bytes_needed(), f"runs of {config.dataset}")
    session.announce()
    try:
        with Progress("train", session.total(), facts=session.states.facts) as progress:
            for outcome in dispatch.run(train_instrument, session.tasks(), config.engine):
                progress.reuse(session.finished() - progress.done)
                session.take(outcome)
                progress.advance(1, session.states.note())
                for grades in session.closed():
                    recorder.put(session.store, grades, session.description())
            progress.reuse(session.finished() - progress.done)
            progress.advance(0, session.states.note())
    except BaseException:
        recorder.abandon()
        raise
    evidence = session.finish()
    log.info("%s", session.memory())
    if left_out := session.left_out(evidence.grades, tracked.thresholds):
        words = "%d of %d passes are by this command's thresholds alone; the registry keeps to conf/grade/default.yaml"
        log.warning(words, left_out, evidence.passes)
    figures = session.figures(evidence, time.perf_counter() - started)
    try:
        ids = recorder.close(session.store, evidence.grades, figures)
        session.write_grades(evidence.grades, ids)
    except StageError:
        session.write_grades(evidence.grades, None)
        raise
    return session.sentence(evidence)


def _require_features(config: Config) -> None:
    name = config.dataset
    if not (Path(config.data.root) / "states" / name / "featurize.parquet").exists():
        raise StageError(f"no features for universe={name}: run `python -m src.featurize universe={name}` first")


if __name__ == "__main__":
    main("train", train)
