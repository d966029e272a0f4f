"""Train, grade, track: every instrument of a universe under the chosen model families.

``python -m src.train universe=full model=all`` takes what featurize computed, trains what is not yet trained, grades
all of it, shows it in MLflow and registers what clears the gate. After an interruption the same command goes on.
``scope=pooled`` (or ``experiment=pooled``) trains one model for the cross-section of each asset class instead, and
grades the portfolio of its ranks.
With ``follow=true`` it featurizes, trains and reports in rounds while hydration goes on, until nothing is pending. With
``placebo=0.05`` a share of the instruments is trained once more on features rotated in time, where no model has skill.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from src.config.commands import command
from src.core.errors import StageError
from src.runtime.command import main
from src.runtime.terminal import answer

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import Config, EngineConfig, ModelConfig
    from src.runtime.progress import Progress
    from src.tracking.recorder import Recorder
    from src.training.placebo import PlaceboArm
    from src.training.pooled.class_session import ClassSession
    from src.training.pooled.session import PooledSession
    from src.training.session import Session

log = logging.getLogger("src.train")  # run as a command this module's own name is __main__


def train(config: Config) -> str:
    """Train the configured families; write runs, grades and states.

    Parameters
    ----------
    config : Config
        The resolved configuration.

    Returns
    -------
    str
        The closing line.
    """
    if config.follow:
        from src.training.follow import Followed, follow

        followed = Followed(config.paths, config.hydrate_command, config.fresh)
        return follow(followed, answer)
    _require_features(config.paths)
    from src.config.compose import families
    from src.market.choices import settled

    config = settled("train", config)
    from src.engine import device
    from src.runtime import disk_space
    from src.tracking.recorder import Recorder
    from src.tracking.settings import TrackedDataset
    from src.training.placebo import PlaceboArm
    from src.training.session import Session
    from src.training.settings import TrainingSettings

    started = time.perf_counter()
    models = families(config)
    device.require(models, config.engine)
    recorder = Recorder(TrackedDataset.of(config))
    if config.scope.kind == "pooled":
        return _pooled(config, models, recorder, started)
    settings = TrainingSettings.of(config, models)
    if config.placebo_only:
        return f"train: {_placebo(PlaceboArm(settings, config.placebo), recorder, config.engine)}"
    session = Session(settings)
    disk_space.require(session.store.root, session.bytes_needed(), f"runs of {config.dataset}")
    session.announce()
    _work(session, recorder, config.engine)
    closing_line = _finish(session, recorder, started)
    if config.placebo:
        line = _placebo(PlaceboArm(settings, config.placebo, session.inputs), recorder, config.engine)
        log.info("%s", line)
        answer(line)
    return closing_line


def _work(session: Session, recorder: Recorder, engine: EngineConfig) -> None:
    """Do the tasks of the session and hand the grades of each finished bucket to MLflow."""
    from src.engine import dispatch
    from src.runtime.progress import Progress
    from src.training.walk_forward import train_instrument

    try:
        with Progress("train", session.total(), facts=session.states.facts) as progress:
            for outcome in dispatch.run(train_instrument, session.tasks(), engine):
                progress.reuse(session.finished() - progress.done)
                session.take(outcome)
                progress.advance(1, session.states.note())
                for bucket, grades in session.closed():
                    recorder.put(session.store, grades, session.summary.description(), bucket)
            progress.reuse(session.finished() - progress.done)
            progress.advance(0, session.states.note())
    except BaseException:
        recorder.abandon()
        raise


def _finish(session: Session, recorder: Recorder, started: float) -> str:
    """Write states and grades and bring MLflow up to date; return the closing line."""
    from src.tracking.connection import gate_command
    from src.tracking.location import store_location

    evidence = session.finish()
    log.info("%s", session.summary.memory())
    if count := session.summary.unregistrable_passes(evidence.grades, recorder.demanded()):
        message = "%d of %d passes are by this command's thresholds alone; the registry demands more (%s)"
        gate = gate_command(store_location(recorder.settings.tracking))
        log.warning(message, count, evidence.passes, gate)
    figures = session.summary.figures(evidence, time.perf_counter() - started)
    try:
        mlflow_ids = recorder.close(session.store, evidence.grades, figures)
    except StageError:
        session.write_grades(evidence.grades, None)
        raise
    session.write_grades(evidence.grades, mlflow_ids)
    return session.summary.sentence(evidence)


def _pooled(config: Config, models: list[ModelConfig], recorder: Recorder, started: float) -> str:
    """Fit, grade and track the portfolios of the pooled scope; return the closing line."""
    from src.runtime import disk_space
    from src.runtime.progress import Progress
    from src.training.pooled.session import PooledSession
    from src.training.pooled.settings import PooledSettings

    session = PooledSession(PooledSettings.of(config, models))
    disk_space.require(session.store.root, session.instruments.bytes_needed(), f"ranks and scores of {config.dataset}")
    session.announce()
    try:
        with Progress("train", session.instruments.fits(), unit="fit") as progress:
            for part in session.classes():
                progress.set_note(f"ranking the features of {part.asset_class}")
                _fit(part, session, progress, config.engine)
                progress.set_note(f"grading {part.asset_class}")
                found = session.graded(part)
                _refit(part, session.lacks_model(found), config.engine)
                recorder.put(session.store, session.close(part, found), session.summary.description())
            progress.reuse(progress.total - progress.done)  # of classes that needed or allowed none
            progress.advance(0, "")
    except BaseException:
        recorder.abandon()
        raise
    evidence = session.finish()
    try:
        figures = session.summary.figures(evidence, time.perf_counter() - started)
        mlflow_ids = recorder.close(session.store, evidence.grades, figures)
    except StageError:
        session.write_grades(evidence.grades, None)
        raise
    session.write_grades(evidence.grades, mlflow_ids)
    return session.sentence(evidence)


def _fit(part: ClassSession, session: PooledSession, progress: Progress, engine: EngineConfig) -> None:
    """Make the fits of a class that are missing."""
    from src.engine import dispatch
    from src.training.pooled.fit_task import fit_fold

    missing = len(part.missing())
    stored = len(part.folds) * len(part.fit_keys) - missing
    session.summary.reused_fits += stored
    progress.reuse(stored)
    for outcome in dispatch.run(fit_fold, part.tasks(), engine):
        part.take(outcome.item, outcome.result)
        session.summary.fits += 1
        progress.advance(1, f"{part.asset_class} {outcome.item.model.family} from {outcome.item.fold}")


def _refit(part: ClassSession, families: list[str], engine: EngineConfig) -> None:
    """Refit families of a class on every day, for the registry."""
    from src.engine import dispatch
    from src.training.pooled.fit_task import fit_fold

    for outcome in dispatch.run(fit_fold, part.refits(families), engine):
        part.take(outcome.item, outcome.result)


def _placebo(arm: PlaceboArm, recorder: Recorder, engine: EngineConfig) -> str:
    """Do the tasks of the placebo arm and bring MLflow up to date; return the line on what passed."""
    from src.engine import dispatch
    from src.runtime import disk_space
    from src.runtime.progress import Progress
    from src.training.walk_forward import train_instrument

    disk_space.require(arm.store.root, arm.bytes_needed(), "placebo runs")
    arm.announce()
    with Progress("placebo", arm.total()) as progress:
        for outcome in dispatch.run(train_instrument, arm.tasks(), engine):
            progress.reuse(arm.finished() - progress.done)
            arm.take(outcome)
            progress.advance(1, arm.note())
        progress.reuse(arm.finished() - progress.done)
        progress.advance(0, arm.note())
    grades = arm.finish()
    if grades.height:
        recorder.close(arm.store, grades, arm.figures(grades))
    return arm.line()


def _require_features(paths: DatasetPaths) -> None:
    if not paths.states("featurize").exists():
        name = paths.dataset
        raise StageError(f"no features for universe={name}: run `{command('featurize', dataset=name)}` first")


if __name__ == "__main__":
    main("train", train)
