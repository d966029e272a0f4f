"""Write the settings that tuning chose as files of conf/model, and never over a person's own file."""

from __future__ import annotations

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
from src.tuning.winner import SearchResult

_MARK = re.compile(r"# Written by python -m src\.tune for universe=(\S+), and replaced by its next run \((\w+)\)\.")


@dataclass(frozen=True)
class WinnerFiles:
    """Files of conf/model that tuning writes for one dataset.

    Parameters
    ----------
    tune : TuneConfig
        Folder and name of the files, and whether a person's file may be replaced.
    dataset : str
        Name of the dataset.
    """

    tune: TuneConfig
    dataset: str

    @property
    def folder(self) -> Path:
        """Folder of the files."""
        return ROOT / self.tune.folder

    @property
    def index_name(self) -> str:
        """Name, without its suffix, of the file that takes the winner of each family and class."""
        return self.tune.name or "tuned"

    def file_name(self, family: str, scope: str) -> str:
        """Return the name of a winner's file without its suffix, such as ``lightgbm_quick_stock``.

        Parameters
        ----------
        family : str
            Model family.
        scope : str
            Asset class, or ``all``.
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

    def write(self, result: SearchResult) -> Path:
        """Write settings as a file that a person can read and a command can name.

        Parameters
        ----------
        result : SearchResult
            A result with settings.

        Returns
        -------
        Path
            The file.
        """
        assert result.settings is not None
        search, scope = result.search, result.search.window.scope
        body = [
            *(f"# {line}" for line in _header(result)),
            "defaults:",
            f"  - /schema/model/{search.study.family}@_here_",
            "  - _self_",
            f"family: {search.study.family}",
            f"device: {search.model.device}",
            *([] if scope == "all" else [f"classes: [{scope}]"]),
            f"trials: {search.study.trials_made()} # recorded with every run that uses these settings",
            f'tuned_before: "{search.window.before}" # no bar of that day or later was read',
            "params:",
            *(f"  {name}: {_yaml(value)}" for name, value in result.settings.items()),
        ]
        path = self.folder / f"{self.file_name(search.study.family, scope)}.yaml"
        _write(path, self.dataset, body)
        return path

    def write_index(self, families: Sequence[str], results: Sequence[SearchResult]) -> Path:
        """Write the file that takes, for each family and class, the winner where there is one and else the default.

        Parameters
        ----------
        families : sequence of str
            Families that were tuned; members of others stay as an earlier index has them.
        results : sequence of SearchResult
            Results of all searches.

        Returns
        -------
        Path
            The file.
        """
        path = self.folder / f"{self.index_name}.yaml"
        members = {family: [family] for family in families}
        for result in results:
            if result.settings is not None:
                family, scope = result.search.study.family, result.search.window.scope
                name = self.file_name(family, scope)
                members[family][-1:] = [name] if scope == "all" else [name, *members[family][-1:]]
        if path.exists():
            for family, names in _members(path).items():
                members.setdefault(family, names)
        listed = [name for family in FAMILIES for name in members.get(family, [])]
        comment = (
            "# Each family with the settings that tuning chose for a class, and with its own file's for the others."
        )
        _write(path, self.dataset, [comment, "family: all", f"members: [{', '.join(listed)}]"])
        return path


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
