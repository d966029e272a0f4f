"""Bring MLflow up to date with what training stored: ``python -m src.sync``.

``data/runs`` is the source; MLflow's runs, models and versions are its projection. A lost store, or another one
(``tracking.uri=http://...``), gets what it lacks; what it has stays, and nothing is doubled. Decisions that people made
in the lost store are not rebuilt: champions, and suspicions that were cleared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.config.commands import command
from src.core.errors import Incomplete, StageError
from src.runtime.command import main
from src.runtime.terminal import answer

if TYPE_CHECKING:
    from src.config.schema import Config


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
    import polars as pl

    from src.market.choices import settled
    from src.runtime.redaction import masked_address
    from src.storage.atomic import read_errors
    from src.tracking.projection import project_sessions, stored_sessions
    from src.tracking.repair import Findings
    from src.tracking.settings import TrackedDataset
    from src.training.run_store import RunStore
    from src.training.session_choices import require_session

    if not config.tracking.enabled:
        raise StageError("tracking.enabled=false: there is nothing to bring up to date")
    config = settled("sync", config)
    require_session("sync", config)
    path, train = config.paths.grades, command("train", dataset=config.universe.name)
    with read_errors(path, f"run `{train}`, which writes it again"):
        grades = pl.read_parquet(path, glob=False) if path.exists() else pl.DataFrame()
    tracked, store, placebo = TrackedDataset.of(config), RunStore(config.paths.runs), RunStore(config.paths.placebo)
    sessions, others = stored_sessions(store), stored_sessions(placebo)
    findings = Findings()
    runs = project_sessions(tracked, store, sessions, grades, findings)
    runs += project_sessions(tracked, placebo, others, pl.DataFrame(), findings)
    for line in findings.lines():
        answer(line)
    number = len({session["key"] for session in (*sessions, *others)})
    count = "1 session" if number == 1 else f"{number} sessions"
    line = f"sync: {runs:,} runs of {count} of {config.dataset} are in {masked_address(config.tracking.uri)}"
    line += f"; {len(findings.mended):,} mended" if findings.mended else ""
    if findings.unconfirmed:
        line += f"; {len(findings.unconfirmed):,} not registered, as their bars are gone or were restated"
        line += f": `{train}` makes runs of the bars that there are"
    if findings.refused:
        raise Incomplete(f"{line}; {len(findings.refused):,} refused")
    return line


if __name__ == "__main__":
    main("sync", sync)
