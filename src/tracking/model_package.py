"""The files of a logged model: MLflow's folder around a native model file. Nothing is pickled.

A pooled model's folder has more code, see `src.tracking.pooled_model_files`.

::

    MLmodel                        flavour, signature, where the requirements are
    requirements.txt  python_env.yaml
    model/model.txt                the family's own format and file name
    model/model.json               family, features in order, SHA-256 of the model file, name of the functions' module
    code/alpha_loop_loader_1a2b3c4d.py     copy of src/tracking/loader.py, named by its content
    code/alpha_loop_lightgbm_5e6f7a8b.py   the family's functions that read and ask its model file
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from src.models import pooled_file
from src.models.registry import standalone_module
from src.tracking import loader, model_layout, pooled_model_files
from src.tracking.model_files import folder_digest

LOADER = Path(loader.__file__)
_UNKNOWN = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_version = functools.cache(metadata.version)


@dataclass(frozen=True)
class ModelFolder:
    """Content of a logged model's folder.

    Attributes
    ----------
    native : Path
        The library's model file.
    family : str
    features : list of str
        In the order the model was trained on.
    library_version : str
        Name and version, e.g. ``lightgbm 4.6.0``; of a pooled model those of its members, separated by commas.
    metadata : dict
        Further facts for people, kept in ``MLmodel``.
    created : datetime
        Time that ``MLmodel`` shows: that of the run, so that a lost folder can be written again to the same digest.
    seed : int
        Of the order of ties, which a pooled model ranks by.
    """

    native: Path
    family: str
    features: list[str]
    library_version: str
    metadata: dict[str, str]
    created: dt.datetime = _UNKNOWN
    seed: int = 0

    def write(self, folder: Path, model_id: str, run_id: str) -> dict[str, str]:
        """Write the files.

        Parameters
        ----------
        folder : Path
        model_id, run_id : str
            MLflow's ids of the logged model and of its run.

        Returns
        -------
        dict
            Params that tie the files to the run: model_digest and model_sha256.
        """
        content = self.native.read_bytes()
        sha256 = hashlib.sha256(content).hexdigest()
        code, loader_name, about = self._pooled(sha256) if self.native.name == pooled_file.FILE else self._own(sha256)
        python = platform.python_version()
        created = self.created.strftime("%Y-%m-%d %H:%M:%S.%f")
        facts = model_layout.ModelFacts(
            loader_name, python, _version("mlflow"), model_id, run_id, created, self.metadata
        )
        _put(folder / "model" / self.native.name, content)
        _put(folder / "model" / "model.json", about)
        for module, source in code.items():
            _put(folder / "code" / f"{module}.py", source)
        _put(folder / "requirements.txt", "".join(f"{line}\n" for line in self.requirements()).encode())
        _put(folder / "python_env.yaml", model_layout.environment_file(python))
        _put(folder / "MLmodel", model_layout.mlmodel_file(facts, self.features))
        return {"model_digest": folder_digest(folder), "model_sha256": sha256}

    def _own(self, sha256: str) -> tuple[dict[str, bytes], str, bytes]:
        """Code of the folder by module, name of the loader, and ``model.json``: of an instrument's model."""
        loader_code, functions = LOADER.read_bytes(), standalone_module(self.family).encode()
        loader_name = model_layout.module_name("loader", hashlib.sha256(loader_code).hexdigest())
        functions_name = model_layout.module_name(self.family, hashlib.sha256(functions).hexdigest())
        about = model_layout.description_file(self.family, self.native.name, sha256, self.features, functions_name)
        return {loader_name: loader_code, functions_name: functions}, loader_name, about

    def _pooled(self, sha256: str) -> tuple[dict[str, bytes], str, bytes]:
        """The same of a pooled model."""
        packed = pooled_model_files.packed(self.native)
        code, loader_name, facts = pooled_model_files.code(packed, self.seed)
        about = model_layout.pooled_description_file(self.family, self.native.name, sha256, packed.features, facts)
        return code, loader_name, about

    def requirements(self) -> list[str]:
        """Packages that an environment needs to load and serve the model.

        Returns
        -------
        list of str
            Pinned, as ``lightgbm==4.6.0``.
        """
        own = self.library_version.replace(" ", "==") if " " in self.library_version else self.family
        if self.native.name == pooled_file.FILE:
            pinned = dict.fromkeys(each.replace(" ", "==") for each in self.library_version.split(", "))
            packages = [each for each in pinned if each.partition("==")[0] not in model_layout.SUPPORT]
        else:
            packages = [own]
        return [*packages, *(f"{name}=={_version(name)}" for name in model_layout.SUPPORT)]


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
