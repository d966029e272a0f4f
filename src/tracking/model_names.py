"""Whose name a registered model may have."""

from __future__ import annotations

from src.tracking.registry_gate import ASSET_PREFIXES


def name_conflict(run_id: str, own: str | None, name: str) -> str | None:
    """Check the name of a registered model: that of an instrument or a portfolio is reserved for its own models.

    Parameters
    ----------
    run_id : str
    own : str or None
        Name of the registered model of the run's instrument.
    name : str
        Name of the registered model that the run's model is in, or is to enter.

    Returns
    -------
    str or None
        Why the model can't have this name; None if it can.
    """
    if name == own or not name.lower().startswith(ASSET_PREFIXES):
        return None
    return f"run {run_id} is of {own or 'no instrument'}, not of {name}"
