"""How a person clears a suspicious run: a tag that names who did, and why."""

from __future__ import annotations

import json


def names_who_and_why(tag: str | None) -> bool:
    """Whether the run's tag ``alpha.cleared`` clears it: JSON with a name and a reason.

    Parameters
    ----------
    tag : str or None
    """
    try:
        clearing = json.loads(tag) if tag else {}
    except ValueError:
        return False
    return isinstance(clearing, dict) and all(str(clearing.get(key) or "").strip() for key in ("who", "why"))
