"""Which features a configuration chooses, the project's and the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.features.catalog import declared, families
from src.features.custom import own
from src.features.registry import (
    DEFAULT_GROUPS,
    GROUPS,
    OWN_FAMILIES,
    Feature,
    FeatureError,
    Windows,
    require_declared,
)

if TYPE_CHECKING:
    from src.config.schema import FeaturesConfig


def select(choice: FeaturesConfig, interval: str = "1d", windows: Windows | None = None) -> list[Feature]:
    """Return the features that the configuration names, in declared order, the user's own last.

    A group stands for all its families. With neither families nor names the technical and the behavioral features are
    chosen, and with any choice the user's own (`extra` and `files`) are. Those with a price scale come by name only,
    those that need intraday bars not for daily ones.

    Parameters
    ----------
    choice : the configured set.
    interval : of the bars, ``1d`` or ``1h`` and the like.
    windows : window and tolerance of the user's own features, where they have passed their checks already.

    Raises
    ------
    FeatureError
        A family or a name that isn't declared (with the nearest that are), a choice that leaves nothing, or a feature
        of the user's own that breaks a rule.
    """
    added = own(choice, windows)
    every, families_declared = declared() | added, [*families(), *OWN_FAMILIES, *GROUPS]
    require_declared("family", choice.families, families_declared)
    require_declared("feature", [*choice.names, *choice.exclude], [*every, *families_declared])
    wanted = {*choice.families, *choice.names} or {*DEFAULT_GROUPS}
    left_out = set(choice.exclude)
    chosen = [
        item
        for item in every.values()
        if (item.name in choice.names or (_is_meant(item, wanted, added) and item.scale == "none"))
        and not left_out & {item.name, item.family, item.group}
        and (is_intraday(interval) or not item.intraday)
    ]
    if not chosen:
        raise FeatureError(f"features={choice.name} leaves no feature: name families or names, and exclude fewer")
    return chosen


def _is_meant(item: Feature, wanted: set[str], added: dict[str, Feature]) -> bool:
    return bool({item.family, item.group} & wanted) or item.name in added


def is_intraday(interval: str) -> bool:
    """Whether bars of this interval (``1d``, ``1h``, ``15m``) are shorter than a day."""
    return interval.endswith(("m", "h"))
