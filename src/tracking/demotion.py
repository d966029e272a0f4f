"""Take one champion down, with the reason in the registry and in the history."""

from __future__ import annotations

from src.core.errors import StageError
from src.runtime.lock import dataset_lock
from src.runtime.terminal import notice
from src.tracking.crowning import champions_now
from src.tracking.promotion_carrying import carry_out_changes, settle
from src.tracking.promotion_history import Change, PromotionHistory
from src.tracking.settings import TrackedDataset
from src.tracking.store import open_store


def demote(tracked: TrackedDataset, name: str, version: int, reason: str) -> str:
    """Remove a champion, if this version still is it.

    Takes the lock of ``promote`` on the dataset, which the caller must not hold.

    Parameters
    ----------
    tracked : TrackedDataset
    name : str
        Of the registered model.
    version : int
        The version that the reason is about; another champion stays.
    reason : str
        Becomes the version's tag ``alpha.demoted`` and a line of the history.

    Returns
    -------
    str
        One line that says what was done.

    Raises
    ------
    StageError
        If the store can't be opened, or refuses.
    """
    with dataset_lock("promote", tracked.dataset, notice), open_store(tracked) as store:
        current = champions_now(store).get(name)
        if current != version:
            instead = "it has no champion" if current is None else f"version {current} is"
            return f"{name}: version {version} is not champion ({instead}): nothing to demote"
        history = PromotionHistory(tracked.paths.promotions)
        settle(store, history)
        refusals = carry_out_changes(store, history, "demote", [Change(name, version, None)], why=reason)
        if refusals:
            raise StageError(f"{name}: version {version} can't be demoted: {refusals[name]}")
        return f"{name}: version {version} is no longer champion: {reason}"
