"""What a trial tries: settings within the family's search space, none much costlier than the default settings.

The default settings belong to every space: a bound that excludes them is widened.
"""

from __future__ import annotations

from typing import Any

from src.models.registry import family
from src.models.search_space import Proposes


def proposal(trial: Proposes, name: str, defaults: dict[str, Any], max_cost: float) -> dict[str, Any]:
    """Propose the settings of one trial: those of the search space vary, the others stay as they are.

    Parameters
    ----------
    trial : Proposes
        The trial that proposes.
    name : str
        Name of the model family.
    defaults : dict
        Default settings by name.
    max_cost : float
        Most that a fit may cost, in units of the default settings'. Settings that would cost more get as many rounds
        as that allows; in a family without rounds the default settings are tried instead.

    Returns
    -------
    dict
        Settings by name.
    """
    library = family(name)
    settings = dict(defaults)
    for setting, bounds in library.SPACE.items():
        if isinstance(defaults.get(setting), int | float) and not isinstance(defaults[setting], bool):
            settings[setting] = bounds.propose(trial, setting, defaults[setting])
    limit = max_cost * library.cost(defaults)
    if settings != defaults and library.cost(settings) > limit:
        if "rounds" not in settings:
            return dict(defaults)
        fixed = library.cost({**settings, "rounds": 0})
        a_round = library.cost({**settings, "rounds": 1}) - fixed
        settings["rounds"] = max(1, int((limit - fixed) / a_round))
    return settings
