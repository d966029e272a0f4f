"""Passes that were not registered, so promotion can't choose them: flagged as suspicious, or of too few bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from src.config.commands import command, shell_word
from src.core.instruments import POOLED
from src.storage import atomic
from src.tracking.clearing import names_who_and_why
from src.tracking.search import flagged_passes, short_passes

if TYPE_CHECKING:
    from src.tracking.store import MlflowStore

_LINES = 5


@dataclass(frozen=True)
class NotRegistered:
    """What passed and is not registered, and what nearly passed.

    Attributes
    ----------
    flagged : list of str
        One line for each pass that is flagged as suspicious: which, why, and what to look at.
    short : int
        Passes with fewer out-of-sample bars than a registration demands.
    near : int
        Runs of the last session that failed by one threshold alone.
    """

    flagged: list[str]
    short: int
    near: int

    def lines(self) -> list[str]:
        """The first lines on flagged passes, and how many more there are."""
        more = len(self.flagged) - _LINES
        return self.flagged[:_LINES] + (
            [f"and {more:,} more flagged passes: the report lists them"] if more > 0 else []
        )

    def clause(self, min_oos: int) -> str:
        """The end of the closing line; empty if nothing is withheld."""
        parts = []
        if self.flagged:
            count = len(self.flagged)
            parts.append(
                f"{count:,} {'pass is' if count == 1 else 'passes are'} flagged as suspicious and not registered"
            )
        if self.short:
            has = "pass has" if self.short == 1 else "passes have"
            parts.append(f"{self.short:,} {has} fewer than {min_oos:,} out-of-sample bars")
        if self.near:
            parts.append(f"{self.near:,} {'run' if self.near == 1 else 'runs'} missed by one threshold alone")
        return "".join(f"; {part}" for part in parts)


def withheld(store: MlflowStore, name: str | None = None) -> NotRegistered:
    """Find passes that are in MLflow and not in the registry.

    Parameters
    ----------
    store : MlflowStore
        The opened store.
    name : str, optional
        Registered name of the one instrument to look at.

    Returns
    -------
    NotRegistered
    """
    flagged = [
        _line(run, store.settings.dataset)
        for run in flagged_passes(store.client, store.experiment)
        if _counts(run, name) and not names_who_and_why(run.data.tags.get("alpha.cleared"))
    ]
    min_oos = store.thresholds.min_oos
    short = [run for run in short_passes(store.client, store.experiment, min_oos) if _counts(run, name)]
    return NotRegistered(sorted(flagged), len(short), _near_misses(store) if name is None else 0)


def _counts(run: Any, name: str | None) -> bool:
    return "alpha.superseded" not in run.data.tags and name in (None, run.data.params.get("registered_name"))


def _line(run: Any, dataset: str) -> str:
    params, tags = run.data.params, run.data.tags
    subject = f"{params.get('registered_name')}: {params.get('family')}"
    clear = shell_word(f"clear={run.info.run_id}")
    return (
        f"{subject} passed but is suspicious: {tags['alpha.suspicious']}; "
        f'look at {_where(tags, dataset)}, then {clear} why="..." registers it'
    )


def _where(tags: Mapping[str, str], dataset: str) -> str:
    """Where a person looks into a suspicion: at the bars of an instrument, at the report of a portfolio."""
    if tags.get("asset_class") == POOLED:
        return f"its portfolio in the report ({command('report', stored=dataset)})"
    look = command("data", f"{tags.get('asset_class')}:{tags.get('symbol')}", stored=dataset)
    return f"its bars ({look})"


def _near_misses(store: MlflowStore) -> int:
    count = 0
    for path in (store.settings.paths.grades, store.settings.paths.portfolio_grades):
        if path.is_file():
            remedy = f"run `{command('train', stored=store.settings.dataset)}`, which writes it again"
            with atomic.read_errors(path, remedy):
                failed = pl.scan_parquet(path, glob=False).filter(~pl.col("passed"), pl.col("reasons").list.len() == 1)
                count += int(failed.select(pl.len()).collect().item())
    return count
