"""Judge a search's winner on instruments that did not choose it, and write it as a file of conf/model."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from src.config.schema import Config
from src.core.errors import ConfigError
from src.core.project import ROOT
from src.models.registry import FAMILIES
from src.storage.atomic import write_text

if TYPE_CHECKING:
    from src.core.arrays import FloatArray
    from src.tuning.scheduler import Lane

_MARK = re.compile(r"# Written by python -m src\.tune for universe=(\S+), and replaced by its next run \((\w+)\)\.")


@dataclass(frozen=True)
class Gain:
    """AUC of the winner and of the default settings on the confirming instruments, paired.

    Attributes
    ----------
    mean : float
        Mean difference, winner less default.
    error : float
        Standard error of it: the larger of two, over instruments and over calendar blocks (`standard_error`).
    cost : float
        CPU of the winner in units of the default settings'.
    """

    winner: float
    default: float
    mean: float
    error: float
    cost: float


@dataclass(frozen=True)
class Verdict:
    """What came of one search: the winner to be written, or None where the default settings stay, and why."""

    lane: Lane
    settings: dict[str, Any] | None
    gain: Gain | None
    number: int
    words: str


def standard_error(difference: FloatArray, without: FloatArray) -> float:
    """Larger of two standard errors of a mean paired difference.

    The first is over instruments: their differences' sample standard deviation over the root of their number. Since
    instruments move together, days that suit one setting suit it on all of them; the second leaves out one calendar
    block after the other for all instruments (a delete-a-block jackknife), which sees that.

    Parameters
    ----------
    difference : float64, shape (instruments,)
    without : float64, shape (instruments, blocks)
        The differences with each block left out; NaN where one is not defined.

    Source
    ------
    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), ch. 11.2 (jackknife standard error, eq. 11.5).

    Examples
    --------
    >>> standard_error(np.array([1.0, 3.0]), np.array([[1.0, 1.0], [3.0, 3.0]]))
    1.0
    """
    over_instruments = float(np.std(difference, ddof=1)) / np.sqrt(difference.size)
    means = np.nanmean(without, axis=0)
    over_blocks = np.sqrt((means.size - 1) / means.size * np.sum((means - means.mean()) ** 2))
    return float(max(over_instruments, over_blocks))


def gain(kept: Mapping[str, Mapping[str, Any]]) -> Gain:
    """Compare winner and default settings by their scores on the confirming instruments, as a search keeps them."""
    winner, default = kept["winner"], kept["default"]
    difference = np.array(winner["auc"]) - np.array(default["auc"])
    without = np.array(winner["without"], dtype=np.float64) - np.array(default["without"], dtype=np.float64)
    return Gain(
        float(np.mean(winner["auc"])),
        float(np.mean(default["auc"])),
        float(difference.mean()),
        standard_error(difference, without),
        sum(winner["cpu"]) / max(sum(default["cpu"]), 1e-9),
    )


def verdict(lane: Lane) -> Verdict:
    """Say whether a search's best settings beat the default ones by more than their noise."""
    best, tune = lane.best(), lane.tune
    if lane.stopped or best is None:
        return Verdict(lane, None, None, -1, lane.stopped or "no trial was complete: the default settings stay")
    if best.number == 0:
        return Verdict(lane, None, None, 0, f"none of {len(lane.search.finished)} trials beat the default settings")
    found = gain(lane.search.remembered(f"confirmed-{best.number}"))
    better = found.mean > tune.min_gain * found.error
    said = (
        f"AUC {found.mean:+.4f} against the default settings on {len(lane.sample.confirm)} other instruments, standard "
        f"error {found.error:.4f}, at {found.cost:.1f} times the CPU"
    )
    words = f"better than its noise: {said}" if better else f"no better than its noise: {said}"
    kept = better or tune.force
    return Verdict(lane, best.params if kept else None, found, best.number, words if kept else f"{words}; not written")


def file_name(config: Config, family: str, scope: str) -> str:
    """Name of a winner's file without its end, e.g. ``lightgbm_quick_stock``."""
    return f"{family}_{config.tune.name or config.dataset}" + ("" if scope == "all" else f"_{scope}")


def index_name(config: Config) -> str:
    """Name of the file that takes each family's and class's winner."""
    return config.tune.name or "tuned"


def require_ours(config: Config, names: Sequence[str]) -> None:
    """Refuse to replace what a person wrote, or another universe's tuning, before any work.

    Raises
    ------
    ConfigError
        Names the file and what to do.
    """
    for name in names:
        path = folder(config) / f"{name}.yaml"
        if name in ("all", *FAMILIES):
            raise ConfigError(f"tune.name={config.tune.name} would replace conf/model/{name}.yaml: choose another name")
        if config.tune.overwrite or not path.exists():
            continue
        owner = _owner(path.read_text(encoding="utf-8"))
        if owner != config.dataset:
            whose = f"was written for universe={owner}" if owner else "was written or changed by a person"
            raise ConfigError(
                f"{path.as_posix()} {whose}, and tuning would replace it: move it, choose tune.name=..., or say "
                "tune.overwrite=true"
            )


def folder(config: Config) -> Path:
    """Where winners are written."""
    return ROOT / config.tune.folder


def write(config: Config, found: Verdict) -> Path:
    """Write a winner as a file that a person can read and a command can name."""
    assert found.settings is not None
    lane = found.lane
    lines = [f"{name}: {_plain(value)}" for name, value in found.settings.items()]
    body = [
        *(f"# {line}" for line in _header(found)),
        "defaults:",
        f"  - /schema/model/{lane.search.family}@_here_",
        "  - _self_",
        f"family: {lane.search.family}",
        f"device: {lane.model.device}",
        *([] if lane.window.scope == "all" else [f"classes: [{lane.window.scope}]"]),
        f"trials: {lane.search.trials_made()} # recorded with every run that uses these settings",
        f'tuned_before: "{lane.window.before}" # no bar of that day or later was read',
        "params:",
        *(f"  {line}" for line in lines),
    ]
    path = folder(config) / f"{file_name(config, lane.search.family, lane.window.scope)}.yaml"
    _write(path, config.dataset, body)
    return path


def write_index(config: Config, families: Sequence[str], found: Sequence[Verdict]) -> Path:
    """Write the file that takes, for each family and class, the winner where there is one and else the default."""
    path = folder(config) / f"{index_name(config)}.yaml"
    members = {family: [family] for family in families}
    for each in found:
        if each.settings is not None:
            name = file_name(config, each.lane.search.family, each.lane.window.scope)
            of_family = members[each.lane.search.family]
            of_family[-1:] = [name] if each.lane.window.scope == "all" else [name, *of_family[-1:]]
    if path.exists():
        for family, names in _members(path).items():
            members.setdefault(family, names)
    listed = [name for family in FAMILIES for name in members.get(family, [])]
    words = "# Each family with the settings that tuning chose for a class, and with its own file's for the others."
    _write(path, config.dataset, [words, "family: all", f"members: [{', '.join(listed)}]"])
    return path


def _header(found: Verdict) -> list[str]:
    lane, gained = found.lane, found.gain
    assert gained is not None
    trials, sample = lane.search.finished, lane.sample
    whose = "all classes" if lane.window.scope == "all" else f"class {lane.window.scope}"
    best = next(each for each in trials if each.number == found.number)
    times = lane.search.count_confirmed()
    return [
        f"{lane.search.family} for {whose}: the best of {len(trials)} trials ({sum(t.pruned for t in trials)} of them",
        f"pruned) on {len(sample.search)} instruments, by the mean AUC of a walk-forward inside the first training",
        f"window: predictions of {sample.first} to {sample.last}, no bar of {lane.window.before} or later.",
        f"AUC there: {best.value:.4f}, default settings {trials[0].value:.4f}: chosen as the highest, so it flatters.",
        f"On {len(sample.confirm)} other instruments: {gained.winner:.4f}, default settings {gained.default:.4f}, a",
        f"gain of {gained.mean:+.4f} with a standard error of {gained.error:.4f}: {found.words.partition(':')[0]}.",
        *([f"These instruments have judged {times} settings by now."] if times > 1 else []),
        f"CPU of its fits: {gained.cost:.2f} times that of the default settings.",
        f"Study {lane.search.name} in {lane.search.path.as_posix()}.",
    ]


def _plain(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _write(path: Path, dataset: str, body: Sequence[str]) -> None:
    text = "\n".join(body) + "\n"
    mark = f"# Written by python -m src.tune for universe={dataset}, and replaced by its next run ({_seal(text)})."
    write_text(f"{mark}\n{text}", path)


def _owner(text: str) -> str | None:
    """Dataset for which a file was written by tuning; None where a person wrote it, or changed a word of it."""
    first, _, rest = text.partition("\n")
    match = _MARK.fullmatch(first)
    return match[1] if match and match[2] == _seal(rest) else None


def _seal(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8"), digest_size=6).hexdigest()


def _members(path: Path) -> dict[str, list[str]]:
    """Members of an index that tuning wrote, by family."""
    found = re.search(r"^members: \[(.*)\]$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    names = found[1].split(", ") if found else []
    return {family: mine for family in FAMILIES if (mine := [n for n in names if _family_of(n) == family])}


def _family_of(file: str) -> str | None:
    """Family of a file's name such as ``lightgbm_quick_stock``: the longest that it begins with."""
    return max((name for name in FAMILIES if f"{file}_".startswith(f"{name}_")), key=len, default=None)
