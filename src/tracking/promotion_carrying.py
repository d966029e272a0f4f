"""Carry out planned changes of champions so that a kill at any moment leaves a history that can be undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from src.tracking.crowning import carry_out_change, champions_now, show_change
from src.tracking.promotion_history import Change, PromotionHistory
from src.tracking.store import MlflowStore


def carry_out_changes(
    store: MlflowStore,
    history: PromotionHistory,
    kind: str,
    changes: Sequence[Change],
    *,
    why: str = "",
    demands: Mapping[str, Any] | None = None,
) -> dict[str, str]:
    """Announce changes in the history, make them in the registry, and close the entry.

    Parameters
    ----------
    store : MlflowStore
    history : PromotionHistory
    kind : str
        As `PromotionHistory.begin` takes it.
    changes : sequence of Change
        If empty, an interrupted entry is settled and no other is written.
    why : str
    demands : mapping, optional

    Returns
    -------
    dict
        The registry's refusals by name.
    """
    if history.open_entry(kind) is None or not changes:
        settle(store, history)
    if not changes:
        return {}
    history.begin(kind, changes, why=why, demands=demands)
    refusals = {}
    for change in changes:
        if refusal := carry_out_change(store, change):
            refusals[change.name] = refusal
    settle(store, history)
    return refusals


def settle(store: MlflowStore, history: PromotionHistory) -> None:
    """Close the last entry, if it is open: what the registry does not show was refused, or never done.

    Parameters
    ----------
    store : MlflowStore
    history : PromotionHistory
    """
    entry = history.open_entry()
    if entry is None:
        return
    current = champions_now(store)
    for change in entry.changes:
        if current.get(change.name) == change.after:
            show_change(store, change, entry)
    history.close(entry, (change.name for change in entry.changes if current.get(change.name) != change.after))
