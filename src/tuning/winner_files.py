"""Write the settings that tuning chose as files of conf/model, and never over a person's own file."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.config.schema import TuneConfig
from src.core.errors import ConfigError
from src.core.project import ROOT
from src.models.registry import FAMILIES
from src.storage.atomic import write_text
from src.tuning.study import Study
from src.tuning.winner import SearchResult

_MARK = re.compile(r"# Written by python -m src\.tune for universe=(\S+), and replaced by its next run \((\w+)\)\.")


@dataclass(frozen=True)
class WinnerFile:
    """What the file of a winner says.

    Attributes
    ----------
    family, scope, device : str
        Model family, scope of the study, and device of the fits.
    classes : tuple of str
        Asset classes whose settings they are; empty for all.
    trials : int
        Trials ever made for the family on these classes.
    before : date
        No bar of that day or later was read.
    settings : dict
        By name.
    header : sequence of str
        Comments that say how the settings were chosen and how they did where they were not chosen.
    section : str
        ``params``, or ``pooled`` for those of a pooled model.
    """

    family: str
    scope: str
    device: str
    classes: tuple[str, ...]
    trials: int
    before: dt.date
    settings: dict[str, Any]
    header: Sequence[str]
    section: str = "params"


@dataclass(frozen=True)
class TunedStudy:
    """What came of one study.

    Attributes
    ----------
    study : Study
    file : WinnerFile, optional
        What is to be written; None where the default settings stay.
    reason : str
        Why the settings are written, or why the default settings stay.
    """

    study: Study
    file: WinnerFile | None
    reason: str


@dataclass(frozen=True)
class WinnerFiles:
    """Files of conf/model that tuning writes for one dataset.

    Parameters
    ----------
    tune : TuneConfig
        Folder and name of the files, and whether a person's file may be replaced.
    dataset : str
        Name of the dataset.
    pooled : bool
        Whether they are of pooled models, which have an index of their own.
    """

    tune: TuneConfig
    dataset: str
    pooled: bool = False

    @property
    def folder(self) -> Path:
        """Folder of the files."""
        return ROOT / self.tune.folder

    @property
    def index_name(self) -> str:
        """Name, without its suffix, of the file that takes the winner of each family and class."""
        return (self.tune.name or "tuned") + ("_pooled" if self.pooled else "")

    def file_name(self, family: str, scope: str) -> str:
        """Return the name of a winner's file without its suffix, such as ``lightgbm_quick_stock``.

        Parameters
        ----------
        family : str
            Model family.
        scope : str
            Scope of the study.
        """
        return f"{family}_{self.tune.name or self.dataset}" + ("" if scope == "all" else f"_{scope}")

    def require_writable(self, names: Sequence[str]) -> None:
        """Refuse to replace what a person wrote, or another universe's tuning, before any work.

        Parameters
        ----------
        names : sequence of str
            Names of files that may be written, without suffixes.

        Raises
        ------
        ConfigError
            Names the file and what to do.
        """
        for name in names:
            path = self.folder / f"{name}.yaml"
            if name in ("all", *FAMILIES):
                raise ConfigError(
                    f"tune.name={self.tune.name} would replace conf/model/{name}.yaml: choose another name"
                )
            if self.tune.overwrite or not path.exists():
                continue
            owner = _owner(path.read_text(encoding="utf-8"))
            if owner != self.dataset:
                origin = f"was written for universe={owner}" if owner else "was written or changed by a person"
                raise ConfigError(
                    f"{path.as_posix()} {origin}, and tuning would replace it: move it, choose tune.name=..., or say "
                    "tune.overwrite=true"
                )

    def write(self, found: WinnerFile) -> Path:
        """Write settings as a file that a person can read and a command can name.

        Parameters
        ----------
        found : WinnerFile
            What the file says.

        Returns
        -------
        Path
            The file.
        """
        body = [
            *(f"# {line}" for line in found.header),
            "defaults:",
            f"  - /schema/model/{found.family}@_here_",
            "  - _self_",
            f"family: {found.family}",
            f"device: {found.device}",
            *([f"classes: [{', '.join(found.classes)}]"] if found.classes else []),
            f"trials: {found.trials} # recorded with every run that uses these settings",
            f'tuned_before: "{found.before}" # no bar of that day or later was read',
            f"{found.section}:",
            *(f"  {name}: {_yaml(value)}" for name, value in found.settings.items()),
        ]
        path = self.folder / f"{self.file_name(found.family, found.scope)}.yaml"
        _write(path, self.dataset, body)
        return path

    def write_index(self, families: Sequence[str], written: Sequence[WinnerFile], family: str = "all") -> Path:
        """Write the file that takes, for each family and class, the winner where there is one and else the default.

        Parameters
        ----------
        families : sequence of str
            Families that were tuned; members of others stay as an earlier index has them.
        written : sequence of WinnerFile
            The files of the winners.
        family : str
            ``all``, or ``ensemble`` for the mean of the members' ranks.

        Returns
        -------
        Path
            The file.
        """
        path = self.folder / f"{self.index_name}.yaml"
        members = {name: [name] for name in families}
        for found in written:
            name = self.file_name(found.family, found.scope)
            members[found.family][-1:] = [name, *members[found.family][-1:]] if found.classes else [name]
        if path.exists():
            for earlier, names in _members(path).items():
                members.setdefault(earlier, names)
        listed = [name for each in FAMILIES for name in members.get(each, [])]
        comment = (
            "# Each family with the settings that tuning chose for a class, and with its own file's for the others."
        )
        _write(path, self.dataset, [comment, f"family: {family}", f"members: [{', '.join(listed)}]"])
        return path


def winner_file(result: SearchResult) -> WinnerFile:
    """Say what the file of a search's winner holds.

    Parameters
    ----------
    result : SearchResult
        A result with settings.

    Returns
    -------
    WinnerFile
    """
    assert result.settings is not None
    search, scope = result.search, result.search.window.scope
    return WinnerFile(
        family=search.study.family,
        scope=scope,
        device=search.model.device,
        classes=() if scope == "all" else (scope,),
        trials=search.study.trials_made(),
        before=search.window.before,
        settings=result.settings,
        header=_header(result),
    )


def _header(result: SearchResult) -> list[str]:
    """Comments that say how the settings were chosen and how they did on other instruments."""
    search, gained = result.search, result.gain
    assert gained is not None
    trials, sample, window = search.study.finished, search.sample, search.window
    scope = "all classes" if window.scope == "all" else f"class {window.scope}"
    best = next(trial for trial in trials if trial.number == result.number)
    times = search.study.count_confirmed()
    return [
        f"{search.study.family} for {scope}: the best of {len(trials)} trials ({sum(t.pruned for t in trials)} of them",
        f"pruned) on {len(sample.search)} instruments, by the mean AUC of a walk-forward inside the first training",
        f"window: predictions of {sample.first} to {sample.last}, no bar of {window.before} or later.",
        f"AUC there: {best.value:.4f}, default settings {trials[0].value:.4f}: chosen as the highest, so it flatters.",
        f"On {len(sample.confirm)} other instruments: {gained.winner:.4f}, default settings {gained.default:.4f}, a",
        f"gain of {gained.mean:+.4f} with a standard error of {gained.error:.4f}: {result.reason.partition(':')[0]}.",
        *([f"These instruments have judged {times} settings by now."] if times > 1 else []),
        f"CPU of its fits: {gained.cost:.2f} times that of the default settings.",
        f"Study {search.study.name} in {search.study.path.as_posix()}.",
    ]


def _yaml(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _write(path: Path, dataset: str, body: Sequence[str]) -> None:
    text = "\n".join(body) + "\n"
    mark = f"# Written by python -m src.tune for universe={dataset}, and replaced by its next run ({_seal(text)})."
    write_text(f"{mark}\n{text}", path)


def _owner(text: str) -> str | None:
    """Dataset for which tuning wrote a file; None where a person wrote it, or changed anything in it."""
    first, _, rest = text.partition("\n")
    match = _MARK.fullmatch(first)
    return match[1] if match and match[2] == _seal(rest) else None


def _seal(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8"), digest_size=6).hexdigest()


def _members(path: Path) -> dict[str, list[str]]:
    """Members of an index that tuning wrote, by family."""
    match = re.search(r"^members: \[(.*)\]$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    names = match[1].split(", ") if match else []
    by_family = {family: [name for name in names if _family_of(name) == family] for family in FAMILIES}
    return {family: members for family, members in by_family.items() if members}


def _family_of(name: str) -> str | None:
    """Family of a file's name such as ``lightgbm_quick_stock``: the longest that it begins with."""
    return max((family for family in FAMILIES if f"{name}_".startswith(f"{family}_")), key=len, default=None)
