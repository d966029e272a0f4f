"""Arguments that belong to a verb itself, beside those that override the configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable


def split_arguments(arguments: Iterable[str], is_own: Callable[[str], bool]) -> tuple[dict[str, str], list[str]]:
    """Separate a verb's own ``key=value`` arguments from the overrides that go to Hydra.

    Parameters
    ----------
    arguments : iterable of str
        As typed.
    is_own : callable
        Takes a key and says whether it belongs to the verb.

    Returns
    -------
    own : dict
        Values of the verb's own arguments by their key.
    overrides : list of str
        All other arguments, unchanged.
    """
    own: dict[str, str] = {}
    overrides = []
    for argument in arguments:
        key, has_value, value = argument.partition("=")
        if has_value and is_own(key):
            own[key] = value
        else:
            overrides.append(argument)
    return own, overrides
