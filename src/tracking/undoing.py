"""Take back the last entry of the history: the champions are as they were before it."""

from __future__ import annotations

from collections.abc import Callable

from src.core.errors import Incomplete, StageError
from src.tracking.champions import Champions
from src.tracking.crowning import champions_now
from src.tracking.promotion_carrying import carry_out_changes, settle
from src.tracking.promotion_history import Change, PromotionEntry, PromotionHistory
from src.tracking.store import MlflowStore
from src.tracking.verdict import Use


def undo(
    store: MlflowStore, history: PromotionHistory, why: str, show: Callable[[str], None], *, dry_run: bool = False
) -> str:
    """Restore the champions as they were before the last promotion, withdrawal, demotion or undo.

    An undo that was interrupted is finished. A champion that was changed otherwise since stays.

    Parameters
    ----------
    store : MlflowStore
    history : PromotionHistory
    why : str
    show : callable
        Takes one line for each champion.
    dry_run : bool
        Whether nothing is changed.

    Returns
    -------
    str
        The closing line.

    Raises
    ------
    StageError
        If there is nothing to undo; `Incomplete` if some versions no longer clear the gate.
    """
    entries = history.entries()
    if not entries:
        raise StageError(f"there is nothing to undo: {history.path.as_posix()} has no promotion yet")
    last = entries[-1]
    wanted, changed_since = _wanted(last, champions_now(store))
    refusals = _objections(store, wanted)
    changes = [change for change in wanted if change.name not in refusals]
    if not dry_run:
        if last.kind != "undo":
            settle(store, history)
        refusals |= carry_out_changes(store, history, "undo", changes, why=why or f"of entry {last.number}")
    would = "would be " if dry_run else ""
    for change in wanted:
        reason = refusals.get(change.name)
        show(f"{change.name}: version {change.after} is refused: {reason}" if reason else f"{change}{_note(would)}")
    for name in changed_since:
        show(f"{name}: its champion was changed since, and stays")
    done = sum(change.name not in refusals for change in wanted)
    closing = f"entry {last.number} ({last.kind} of {last.at}) {would}undone: {done:,} changed"
    if refusals:
        raise Incomplete(f"promote: {closing}, {len(refusals):,} refused")
    return closing


def _note(would: str) -> str:
    return " (dry run)" if would else ""


def _wanted(last: PromotionEntry, current: dict[str, int]) -> tuple[list[Change], list[str]]:
    """The changes that take an entry back, and names whose champion is neither of its two."""
    finishing = last.kind == "undo" and not last.is_closed
    wanted, others = [], []
    for change in last.carried_out:
        source, target = (change.before, change.after) if finishing else (change.after, change.before)
        now = current.get(change.name)
        if now == target:
            continue
        if now != source:
            others.append(change.name)
        else:
            wanted.append(Change(change.name, now, target))
    return wanted, others


def _objections(store: MlflowStore, changes: list[Change]) -> dict[str, str]:
    """What stands against versions that are to be champion again, by name."""
    champions = Champions(store)
    refusals, versions = {}, []
    for change in changes:
        if change.after is None:
            continue
        try:
            versions.append(champions.version(change.name, change.after))
        except StageError as error:
            refusals[change.name] = str(error)
    vetting = champions.vetting
    vetting.repeat_grades(versions)
    for version in versions:
        found = vetting.objections(version, Use.KEEP) or vetting.deep_objections(version)
        if found:
            refusals[version.name] = "; ".join(map(str, found))
    return refusals
