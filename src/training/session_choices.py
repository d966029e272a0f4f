"""Settings that `train` has decided: what is typed for a later stage must be what the last session was trained with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from src.config.commands import command, typed_keys
from src.config.schema import Config
from src.core.errors import ConfigError
from src.runtime.redaction import masked_values
from src.storage import atomic

_OF_TRAINING = ("features", "label", "split", "strategy", "model", "grade", "seed")
_OF_POOLED = ("eligibility", "portfolio")


def require_session(verb: str, config: Config, typed: Iterable[str] | None = None) -> None:
    """Refuse settings of training that the dataset's last session was not trained with.

    Parameters
    ----------
    verb : str
        A stage after `train`, which would ignore them.
    config : Config
    typed : iterable of str, optional
        The arguments of the command; those of this process by default.

    Raises
    ------
    ConfigError
        Names both values, and the command that trains with the one that was typed.
    """
    for key in typed_keys(typed):
        section, _, name = key.partition(".")
        of_pooled = section in _OF_POOLED or (section == "scope" and bool(name))
        if not of_pooled and section not in _OF_TRAINING:
            continue
        pooled = of_pooled or config.scope.kind == "pooled"
        session = _last_session(config.paths.portfolios if pooled else config.paths.runs)
        now, then = _part(masked_values(config), key), _part(session, key)
        if then is None or _agree(now, then):
            continue
        hint = "; min_auc=0.6 and the like demand more" if verb == "promote" and key.startswith("grade") else ""
        again = command("train", *(["scope=pooled"] if pooled else []), dataset=config.universe.name)
        raise ConfigError(
            f"{key}={_named_part(now, then)} has no effect on {verb}: the last {'pooled ' if pooled else ''}session of "
            f"{config.dataset} was trained with {key}={_named_part(then, now)}{hint}: leave it out, or train again "
            f"with {again}"
        )


def last_until(runs: Path) -> str | None:
    """Return the last date that a run store's last session used: its ``split.until``.

    Parameters
    ----------
    runs : Path
        Folder of the run store.

    Returns
    -------
    str or None
        YYYY-MM-DD; None where no session is known, or it used all bars.
    """
    until = _part(_last_session(runs), "split.until")
    return None if until is None else str(until)


def _named_part(part: Any, other: Any) -> str:
    """A setting in a word; of a section its name, or what it has that the other one lacks."""
    if not isinstance(part, dict):
        return str(part)
    for name in ("name", "family"):
        if part.get(name) != other.get(name):
            return str(part.get(name))
    return str({name: value for name, value in part.items() if name in other and not _agree(value, other[name])})


def _last_session(runs: Path) -> dict[str, Any]:
    """Configuration of the last session whose grades a run store has; empty where none is known."""
    import yaml

    graded = {path: path.stat().st_mtime for path in runs.glob("b*-*.grades.parquet")}
    for path in sorted(graded, key=lambda path: graded[path], reverse=True):
        described = runs / f"session-{path.name.partition('-')[2].partition('.')[0]}.json"
        if described.is_file():
            written = yaml.safe_load(atomic.read_json(described).get("config_yaml") or "")
            return written if isinstance(written, dict) else {}
    return {}


def _part(content: Any, key: str) -> Any:
    for name in key.split("."):
        content = content.get(name) if isinstance(content, dict) else None
    return content


def _agree(now: Any, then: Any) -> bool:
    """Whether two settings are the same, as far as both have them."""
    if isinstance(now, dict) and isinstance(then, dict):
        return all(_agree(now[name], then[name]) for name in now.keys() & then.keys())
    return bool(now == then)
