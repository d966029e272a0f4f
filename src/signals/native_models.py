"""Models in their libraries' native files, read only where they are what training recorded."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from src.config.commands import command
from src.models.registry import family
from src.signals.refusals import RefusedLine

if TYPE_CHECKING:
    from src.tracking.crowned_versions import CrownedVersion
    from src.training.run_store import RunStore


def native_model(store: RunStore, champion: CrownedVersion, family_name: str) -> Any:
    """Read the native model of a champion; nothing is unpickled.

    Parameters
    ----------
    store : RunStore
    champion : CrownedVersion
    family_name : str
        Model family of its run.

    Returns
    -------
    object
        As the family's `predict` takes it.

    Raises
    ------
    RefusedLine
        If the file is missing, can't be read, or is not the one that training recorded.
    """
    path = store.root / "models" / champion.record_id / family(family_name).FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else f"can't be read ({error.strerror})"
        raise _refusal(store, f"its native model {path.as_posix()} {what}") from error
    if champion.model_sha256 is None:
        raise _refusal(store, f"training recorded no SHA-256 of its native model {path.as_posix()}")
    if hashlib.sha256(content).hexdigest() != champion.model_sha256:
        raise _refusal(store, f"its native model {path.as_posix()} was changed (SHA-256)")
    return family(family_name).from_bytes(content)


def _refusal(store: RunStore, what: str) -> RefusedLine:
    return RefusedLine(f"{what}: run `{command('train', stored=store.root.name)}`, which makes it again")
