"""The model families by name: one module of this package each (``src/models/lightgbm.py`` is ``model=lightgbm``)."""

from __future__ import annotations

import importlib
from typing import cast

from src.models import catboost, lightgbm, xgboost
from src.models.library import Family

_MODULES = {"lightgbm": lightgbm, "xgboost": xgboost, "catboost": catboost}
FAMILIES = tuple(_MODULES)
PARAMS: dict[str, type] = {
    "lightgbm": lightgbm.LightGBMParams,
    "xgboost": xgboost.XGBoostParams,
    "catboost": catboost.CatBoostParams,
}


def load(name: str) -> None:
    """Import a family's library, a second or two that are no part of a fit."""
    family(name)
    importlib.import_module(name)


def family(name: str) -> Family:
    """Return the family's module.

    Raises
    ------
    ValueError
        If no family has that name.
    """
    if name not in FAMILIES:
        raise ValueError(f"model must be one of {', '.join(FAMILIES)}, got {name}")
    return cast(Family, _MODULES[name])
