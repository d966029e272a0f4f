"""What of a pooled model's folder differs from an instrument's: several native files in one zip, and more code.

::

    model/pooled.zip                               the members' native files, and what the model says of itself
    model/model.json                               columns, categories, seed, SHA-256 of the zip, names of modules
    code/alpha_loop_pooled_loader_1a2b3c4d.py      copy of src/tracking/pooled_loader.py
    code/alpha_loop_day_ranks_5e6f7a8b.py          src/training/pooled/day_ranks.py
    code/alpha_loop_pooled_lightgbm_9c0d1e2f.py    a member's functions that read and ask its native file
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.models import pooled_file
from src.tracking import model_layout, pooled_code, released_code
from src.tracking.model_layout import ForeignFolder, PooledFacts, module_name

LOADER, RANKS = "pooled_loader", "day_ranks"


def functions_name(family: str) -> str:
    """Return how the name of the module with a member's functions begins."""
    return f"pooled_{family}"


@dataclass(frozen=True)
class Packed:
    """What a pooled model's zip says of itself.

    Attributes
    ----------
    families : list of str
        Members, in alphabetical order, as training adds their ranks.
    features : list of str
        Columns.
    categories : list of int
        Positions of the columns that are not ranked.
    """

    families: list[str]
    features: list[str]
    categories: list[int]


def packed(native: Path) -> Packed:
    """Read what a pooled model's zip says of itself.

    Parameters
    ----------
    native : Path
        The zip.

    Raises
    ------
    ForeignFolder
        If it is no such zip, its members are not those that it names, or it does not say what its columns are.
    """
    try:
        members, meta = pooled_file.unpack(native.read_bytes())
        families, features = sorted(str(each) for each in meta["families"]), [str(each) for each in meta["features"]]
        categories = [int(each) for each in meta["categories"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ForeignFolder(f"{native.name} can't be read: {error}") from error
    if not families or families != sorted(members):
        raise ForeignFolder(f"{native.name} does not hold a file for each of {', '.join(families) or 'its members'}")
    return Packed(families, features, categories)


def code(about: Packed, seed: int) -> tuple[dict[str, bytes], str, PooledFacts]:
    """Collect the modules that travel with a pooled model.

    Parameters
    ----------
    about : Packed
    seed : int
        Of the order of ties.

    Returns
    -------
    modules : dict
        Source by name.
    loader : str
        Name of the loader's module.
    facts : PooledFacts
        What ``model.json`` says besides.
    """
    named = {LOADER: pooled_code.loader(), RANKS: pooled_code.ranks()}
    named |= {functions_name(family): pooled_code.functions(family) for family in about.families}
    names = {what: module_name(what, hashlib.sha256(source).hexdigest()) for what, source in named.items()}
    members = {pooled_file.member_entry(family): names[functions_name(family)] for family in about.families}
    modules = {names[what]: source for what, source in named.items()}
    return modules, names[LOADER], PooledFacts(about.categories, seed, members, names[RANKS])


def checked(texts: Mapping[str, bytes], native: Path, sha256: str, about: Mapping[str, Any]) -> tuple[str, bytes]:
    """Check the code of a pooled model's folder, and render its ``model.json`` again.

    Parameters
    ----------
    texts : mapping
        Content of the text files, by their place in the folder.
    native : Path
        The zip.
    sha256 : str
        Of the zip.
    about : mapping
        What ``model.json`` says.

    Returns
    -------
    loader : str
        Name of the loader's module.
    description : bytes
        What ``model.json`` has to be.

    Raises
    ------
    ForeignFolder
        If any code is not this project's, or the zip holds other files than the members'.
    """
    seed = about.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ForeignFolder("model/model.json names no seed")
    found = _Code({name: hashlib.sha256(text).hexdigest() for name, text in texts.items() if name.startswith("code/")})
    loader = found.module(LOADER, released_code.is_pooled_loader)
    ranks = found.module(RANKS, released_code.is_ranks_module)
    own = packed(native)
    members = {
        pooled_file.member_entry(family): found.module(functions_name(family), _of_family(family))
        for family in own.families
    }
    found.require_nothing_else()
    facts = PooledFacts(own.categories, seed, members, ranks)
    family = str(about.get("family"))
    return loader, model_layout.pooled_description_file(family, native.name, sha256, own.features, facts)


def _of_family(family: str) -> Callable[[str], bool]:
    return lambda digest: released_code.is_pooled_functions_module(family, digest)


class _Code:
    """The code files of a folder, by their digests; each has to be asked for."""

    def __init__(self, digests: dict[str, str]) -> None:
        self._left = digests

    def module(self, what: str, is_ours: Callable[[str], bool]) -> str:
        """Take the one module of a kind; its name."""
        for name, digest in self._left.items():
            module = module_name(what, digest)
            if name == f"code/{module}.py" and is_ours(digest):
                del self._left[name]
                return module
        raise ForeignFolder(f"it holds no module {what!r} of this project")

    def require_nothing_else(self) -> None:
        """Refuse code that was not asked for."""
        if self._left:
            raise ForeignFolder(f"{min(self._left)} is not code of its model")
