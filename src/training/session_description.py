"""The description of a session beside its runs: what a lost MLflow store is rebuilt with, and what readers go by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from src.storage import atomic


def describe(path: Path, description: Mapping[str, Any]) -> None:
    """Store the description of a session that begins; of one that goes on with a later ``split.until``, that date.

    Sessions go on when ``split.until`` moves: the same settings are the same session. Days up to the latest date that
    it used are not out-of-sample for its models, so that date is what readers find.

    Parameters
    ----------
    path : Path
        ``session-<key>.json`` of the run store.
    description : mapping
        Of the session as it is now; ``config_yaml`` is its configuration.
    """
    import yaml

    if not path.exists():
        atomic.write_json(description, path)
        return
    stored = atomic.read_json(path)
    config = yaml.safe_load(stored.get("config_yaml") or "") or {}
    until = ((yaml.safe_load(description["config_yaml"]) or {}).get("split") or {}).get("until")
    split = config.get("split") or {}
    if not split.get("until") or (until and str(until) <= str(split["until"])):  # without a date, all bars were used
        return
    written = yaml.safe_dump({**config, "split": {**split, "until": until}}, sort_keys=False)
    atomic.write_json({**stored, "config_yaml": written}, path)
