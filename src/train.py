"""Train, grade, track: every instrument of a universe under the chosen model families.

``python -m src.train universe=full model=all`` takes what featurize left, trains what is not yet trained, grades all
of it, projects it into MLflow and registers what clears the gate. The same command goes on after an interruption.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import StageError
from src.stage import main

if TYPE_CHECKING:
    import polars as pl

    from src.config import Config
    from src.session import Session


def train(config: Config) -> str:
    """Train the configured families and write runs, grades and states; return the closing line."""
    from src import engine
    from src.compose import families
    from src.procedure import train_instrument
    from src.progress import Progress
    from src.projection import Projector
    from src.session import Session

    _require(config, "featurize")
    with Projector(config) as projector:
        session = Session(config, families(config), projector.put)
        projector.open(session)
        _require_room(session)
        with Progress("train", session.total()) as progress:
            for outcome in engine.run(train_instrument, session.tasks(), config.engine):
                session.take(outcome)
                progress.advance(session.ended - progress.done, session.note())
            progress.advance(session.ended - progress.done)
        session.finish()
        grades = session.grades()
        return projector.close(session, grades)


def _require(config: Config, stage: str) -> None:
    path = Path(config.data.root) / "states" / config.dataset / f"{stage}.parquet"
    if not path.exists():
        raise StageError(
            f"universe={config.dataset} is not featurized: run `python -m src.{stage} universe={config.dataset}` first"
        )


if __name__ == "__main__":
    main("train", train)
