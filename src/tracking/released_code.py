"""SHA-256 of the code that travels in models of this project: of every release, and of the sources as they are now.

A model's folder may hold no other code. When ``src/tracking/loader.py`` or a family's functions change, the new digest
is added here (a test gives the line) and the former ones stay: models of earlier releases remain loadable.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from src.tracking import pooled_code

LOADERS = {
    "632f561509ee17fc0a884a6eb618fa6b3a03f8c84886602272d8dbc96f4e5931": True,
    "06494ab5088454b1affbed201cfdfcacf68e8b4ab3ef278f3ec23b968e590f1b": False,
    "3e447f56837e1d43164677621631e13579941790f9719702b66309e5cf697e9d": False,
}
"""Digests of ``src/tracking/loader.py``, and whether it reads the family's functions from a module of their own."""

FUNCTIONS = {
    "catboost": {
        "4fc7c27344487c2d6f15265eed663245366b8ecb267258e7bf2d5c545b7dd61f",
        "e790a3d1a7c98780f5e60435f32d0a640f660c88370b54f02bd913c8d68f9fb7",
    },
    "hist_gradient_boosting": {
        "70484c097fdc5fee49f787abfd959d49b59d77aab27511f5e7d9824671c68947",
        "9148de69fe5aa9383839a60a1e2c903e6865302e3a40ecc2f4743ea39e987e38",
    },
    "lightgbm": {
        "7ab5fd897f2621e73a689787f9b7e0896fc7208acc33d0687b9cb10783af1fee",
        "873a175176217cb62edc1632868e09885242fbb359ed85adb5f5ce1fb259dfdf",
    },
    "ridge": {
        "ce15d184344d8cf14553e930becba5035ba8cbb44660eec630f2c11202683515",
    },
    "xgboost": {
        "422bda7275eca5d0dfca0685d41a7c85f85190c263d1428592c297f780c1ccbe",
        "4705754352ac9c3251e67a0b57e666a69019864db2813a7551cd7f37944b52d6",
    },
}
"""Digests of the module with a family's `from_bytes` and `predict`, by family."""

POOLED_LOADERS = {"644813b63d84e0b4fcb20346ecc21101747ad614885eb00a6eb6a7f6dd9ef799"}
"""Digests of ``src/tracking/pooled_loader.py``."""

RANKS = {"11ec98f45cbf259e563d0eb7fb018e8c2b27e757a630b4af4958499be43d8451"}
"""Digests of the module that ranks a day's names, from ``src/training/pooled/day_ranks.py``."""

POOLED_FUNCTIONS = {
    "catboost": {"c128b83301fce887757a9f84d309b293192a175ea24b4e5ce3850cc37a4dacb9"},
    "lightgbm": {"d47b07b7364a01e3ea0dd16be5ea0e2eca562ab0b0ba93f0ba5bdea16dbb9081"},
    "ridge": {"961e3ba7559db83c16c561e282ec7f73e7bf654aed12a62f10f8b8351ff481b9"},
    "xgboost": {"eebdf6d5a8ca4b5a7eb6e52fbfaf7d8eac8b71fb7cbddc1b79c1f46596ae57ea"},
}
"""Digests of the module with a family's `from_bytes` and `score`, by family."""

PACKAGES = {"lightgbm", "xgboost", "catboost", "scikit-learn"}
"""Packages that released families need."""


def loader_reads_functions(digest: str) -> bool | None:
    """Whether a loader takes the family's functions from a module of their own.

    Parameters
    ----------
    digest : str
        SHA-256 of the loader.

    Returns
    -------
    bool or None
        None for a loader that this project never had.
    """
    return LOADERS.get(digest, True if digest == current_loader() else None)


def is_functions_module(family: str, digest: str) -> bool:
    """Whether a module is a family's, of a release or of the sources as they are now.

    Parameters
    ----------
    family : str
    digest : str
        SHA-256 of the module.
    """
    return digest in FUNCTIONS.get(family, ()) or digest == current_functions(family)


def is_pooled_loader(digest: str) -> bool:
    """Whether a module is the loader of pooled models, of a release or of the sources as they are now.

    Parameters
    ----------
    digest : str
        SHA-256 of the module.
    """
    return digest in POOLED_LOADERS or digest == hashlib.sha256(pooled_code.loader()).hexdigest()


def is_ranks_module(digest: str) -> bool:
    """Whether a module is the one that ranks a day's names, of a release or of the sources as they are now.

    Parameters
    ----------
    digest : str
        SHA-256 of the module.
    """
    return digest in RANKS or digest == hashlib.sha256(pooled_code.ranks()).hexdigest()


def is_pooled_functions_module(family: str, digest: str) -> bool:
    """Whether a module is that of a member of pooled models, of a release or of the sources as they are now.

    Parameters
    ----------
    family : str
    digest : str
        SHA-256 of the module.
    """
    from src.models import registry

    if digest in POOLED_FUNCTIONS.get(family, ()):
        return True
    return family in registry.FAMILIES and digest == hashlib.sha256(pooled_code.functions(family)).hexdigest()


def is_package_of(family: str, package: str) -> bool:
    """Whether models of a family need a package.

    Parameters
    ----------
    family, package : str
    """
    from src.models import registry

    return package in PACKAGES or (
        family in registry.FAMILIES and registry.family(family).LIBRARY.distribution == package
    )


@functools.cache
def current_loader() -> str:
    """SHA-256 of ``src/tracking/loader.py``."""
    return hashlib.sha256(Path(__file__).with_name("loader.py").read_bytes()).hexdigest()


@functools.cache
def current_functions(family: str) -> str | None:
    """SHA-256 of a family's module; None for a family that this project does not have.

    Parameters
    ----------
    family : str
    """
    from src.models import registry

    if family not in registry.FAMILIES:
        return None
    return hashlib.sha256(registry.standalone_module(family).encode()).hexdigest()
