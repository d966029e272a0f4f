"""The champions of a dataset with what vouches for each, read without MLflow where a database can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from src.tracking.settings import TrackedDataset


@dataclass(frozen=True)
class CrownedVersion:
    """The champion of an instrument, or of a portfolio.

    Attributes
    ----------
    name : str
        Of the registered model.
    version : int
    run_id : str
        Of MLflow's run.
    record_id : str
        Of training's record.
    strategy_key : str
        Of the strategy, or the portfolio, that it was graded by.
    model_sha256 : str or None
        Of the native model, as training recorded it.
    grade : mapping
        Row of the grades, as training stored it, with ``q_value``.
    objections : tuple of str
        What stands against using it; empty for a champion that holds.
    """

    name: str
    version: int
    run_id: str
    record_id: str
    strategy_key: str
    model_sha256: str | None = None
    grade: Mapping[str, Any] = field(default_factory=dict)
    objections: tuple[str, ...] = ()


def crowned_versions(tracked: TrackedDataset) -> list[CrownedVersion]:
    """List the champions of a dataset, by name.

    Parameters
    ----------
    tracked : TrackedDataset

    Returns
    -------
    list of CrownedVersion

    Raises
    ------
    StageError
        If the store can't be read.
    """
    raise NotImplementedError
