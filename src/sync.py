"""Bring MLflow up to date with what training stored: ``python -m src.sync``.

``data/runs`` and, for pooled models, ``data/portfolios`` are the source; MLflow's runs, models and versions are their
projection. A lost store, or another one (``tracking.uri=http://...``), gets what it lacks; what it has stays, and
nothing is doubled. Decisions that people made in the lost store are not rebuilt: champions, and suspicions that were
cleared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.config.commands import command
from src.core.errors import Incomplete, StageError
from src.runtime.command import main
from src.runtime.terminal import answer

if TYPE_CHECKING:
    from src.config.schema import Config
    from src.tracking.repair import Findings


def sync(config: Config) -> str:
    """Project every session of the dataset into MLflow.

    Parameters
    ----------
    config : Config

    Returns
    -------
    str
        The closing line.
    """
    from src.market.choices import settled
    from src.runtime.redaction import masked_address
    from src.tracking.repair import Findings
    from src.training.session_choices import require_session

    if not config.tracking.enabled:
        raise StageError("tracking.enabled=false: there is nothing to bring up to date")
    config = settled("sync", config)
    require_session("sync", config)
    findings, train = Findings(), command("train", dataset=config.universe.name)
    runs, keys = _projected(config, findings)
    for line in findings.lines():
        answer(line)
    count = "1 session" if keys == 1 else f"{keys} sessions"
    line = f"sync: {runs:,} runs of {count} of {config.dataset} are in {masked_address(config.tracking.uri)}"
    line += f"; {len(findings.mended):,} mended" if findings.mended else ""
    if findings.unconfirmed:
        line += f"; {len(findings.unconfirmed):,} not registered, as their bars are gone or were restated"
        line += f": `{train}` makes runs of the bars that there are"
    if findings.refused:
        raise Incomplete(f"{line}; {len(findings.refused):,} refused")
    return line


def _projected(config: Config, findings: Findings) -> tuple[int, int]:
    """Project both scopes and the placebo arm; returns the number of runs and of sessions."""
    import polars as pl

    from src.storage.atomic import read_errors
    from src.tracking.projection import project_sessions, stored_sessions
    from src.tracking.settings import TrackedDataset
    from src.training.run_store import RunStore

    paths, tracked = config.paths, TrackedDataset.of(config)
    folders = {paths.runs: paths.grades, paths.placebo: None}
    folders |= {paths.portfolios: paths.portfolio_grades} if paths.portfolios.is_dir() else {}
    runs, keys = 0, set()
    for folder, path in folders.items():
        grades = pl.DataFrame()
        if path is not None and path.exists():
            words = ["experiment=pooled"] if folder == paths.portfolios else []
            train = command("train", *words, dataset=config.universe.name)
            with read_errors(path, f"run `{train}`, which writes it again"):
                grades = pl.read_parquet(path, glob=False)
        store = RunStore(folder)
        sessions = stored_sessions(store)
        runs += project_sessions(tracked, store, sessions, grades, findings)
        keys |= {session["key"] for session in sessions}
    return runs, len(keys)


if __name__ == "__main__":
    main("sync", sync)
