"""Set and remove the alias ``champion``, and show in the registry who did it and why."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

from src.core.errors import StageError
from src.tracking.model_cards import champion_reason, with_champion
from src.tracking.promotion_history import Change, PromotionEntry
from src.tracking.registry_gate import CHAMPION
from src.tracking.search import aliased_versions

if TYPE_CHECKING:
    from src.tracking.store import MlflowStore

PROMOTED = ("alpha.promoted_by", "alpha.promoted_at", "alpha.promoted_why")
DEMOTED = "alpha.demoted"
"""Tags of a model version: of the champion who promoted it, when and why; of a former one why it no longer is."""


def champions_now(store: MlflowStore) -> dict[str, int]:
    """Read all champions of the registry, of every dataset.

    Parameters
    ----------
    store : MlflowStore

    Returns
    -------
    dict
        Version numbers by the name of the registered model; a version may be gone.
    """
    return aliased_versions(store.client, CHAMPION)


def carry_out_change(store: MlflowStore, change: Change) -> str | None:
    """Make a change of the history in the registry.

    Parameters
    ----------
    store : MlflowStore
    change : Change

    Returns
    -------
    str or None
        The registry's refusal; the champion is then as it was.
    """
    try:
        with store.refusals():
            if change.after is None:
                store.client.delete_registered_model_alias(change.name, CHAMPION)
            else:
                store.client.set_registered_model_alias(change.name, CHAMPION, str(change.after))
    except StageError as refusal:
        return str(refusal)
    return None


def show_change(store: MlflowStore, change: Change, entry: PromotionEntry) -> None:
    """Tag the version that became champion, and the one that no longer is.

    Parameters
    ----------
    store : MlflowStore
    change : Change
    entry : PromotionEntry
        That announced it.
    """
    if change.after is not None:
        said = dict(zip(PROMOTED, (entry.who, entry.at, entry.why or entry.kind), strict=True))
        _tag(store, change.name, change.after, said, (DEMOTED,), _reason(entry))
        _tag_model(store, change, entry)
    if change.before is not None and change.before != change.after:
        successor = (
            f"replaced by version {change.after}" if change.after is not None else f"{entry.kind} by {entry.who}"
        )
        said = {DEMOTED: f"{entry.at}: {successor}{f': {entry.why}' if entry.why else ''}"}
        _tag(store, change.name, change.before, said, PROMOTED, None)


def _reason(entry: PromotionEntry) -> str:
    """Why a version is champion, for its card."""
    demands = {scope: limits for scope, limits in entry.demands.items() if limits}
    demanded = "; ".join(
        f"{scope}: {', '.join(f'{name}={limit:g}' for name, limit in limits.items())}"
        for scope, limits in demands.items()
    )
    return champion_reason(entry.kind, entry.at, entry.who, entry.why, demanded)


def _tag_model(store: MlflowStore, change: Change, entry: PromotionEntry) -> None:
    """Say at the registered model which version is champion, and since when."""
    why = f": {entry.why}" if entry.why else ""
    with contextlib.suppress(StageError), store.refusals():
        text = f"version {change.after}, {entry.kind} of {entry.at} by {entry.who}{why}"
        store.client.set_registered_model_tag(change.name, "champion", text)


def _tag(
    store: MlflowStore, name: str, number: int, said: dict[str, str], dropped: Iterable[str], section: str | None
) -> None:
    """Replace tags of a version and the last section of its card; a version that is gone has none."""
    try:
        with store.refusals():
            version = store.client.get_model_version(name, str(number))
            known, text = version.tags, with_champion(version.description, section)
            if text != (version.description or ""):
                store.client.update_model_version(name, str(number), text)
            for key, value in said.items():
                store.client.set_model_version_tag(name, str(number), key, value)
            for key in dropped:
                if key in known:
                    store.client.delete_model_version_tag(name, str(number), key)
    except StageError:
        return
