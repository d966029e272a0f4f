"""Checks of the dataset itself: its bars and its runs, counted as status and report count them."""

from __future__ import annotations

from src.config.commands import command
from src.config.schema import Config
from src.inspection.diagnostics import Finding


def bars(config: Config) -> Finding:
    """What hydration made of the universe: counts as on the report's page on the quality of the bars.

    Parameters
    ----------
    config : Config
    """
    from src.hydration.quality import quality, sentence
    from src.market.bars import BarStore

    store = BarStore(config.paths.bars)
    if not store.exists():
        return Finding("bars", "ok", f"none of {config.dataset} yet: {config.hydrate_command}")
    found = quality(store)
    counted = found.counts()
    message = sentence(counted)
    if not found.complete:
        message += f"; what was found is not recorded for all of them: hydrate again ({config.hydrate_command})"
    lost = counted["quarantined"] + counted["failed"]
    return Finding("bars", "note" if lost or not found.complete else "ok", f"{config.dataset}: {message}")


def runs(config: Config) -> Finding:
    """How many runs the last session graded, and how many passed: counts as in the report.

    Parameters
    ----------
    config : Config
    """
    from src.inspection.files import read_table

    grades = read_table(config.paths.grades, ["passed"])
    if grades is None:
        return Finding("runs", "ok", f"none of {config.dataset} yet")
    passed = int(grades["passed"].fill_null(False).sum())
    return Finding("runs", "ok", f"{config.dataset}: {passed:,} of {grades.height:,} runs passed")


def pooled(config: Config) -> Finding:
    """What came of the pooled scope's portfolios, and what stands against such figures: as in the report.

    Parameters
    ----------
    config : Config
    """
    from src.hydration.quality import quality
    from src.inspection.pooled_view import portfolio_line, portfolios
    from src.market.bars import BarStore
    from src.sources.registry import is_simulated

    store = BarStore(config.paths.bars)
    hydrated = quality(store).instruments if store.exists() else None
    simulated = store.exists() and is_simulated(store.manifest.source)
    found = portfolios(config.paths, hydrated, simulated=simulated)
    if found is None:
        train = command("train", "experiment=pooled", dataset=config.universe.name)
        return Finding("pooled", "ok", f"no portfolio of {config.dataset} yet: {train}")
    each = " | ".join(portfolio_line(row) for row in found["portfolios"])
    return Finding("pooled", "ok", f"{config.dataset}: {each or 'no portfolio was graded'}. {found['reservations']}")
