"""The files of a logged model: MLflow's folder around a native model file. Nothing is pickled.

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

from src.models.registry import standalone_module
from src.tracking import loader, model_layout
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
        Name and version, e.g. ``lightgbm 4.6.0``.
    metadata : dict
        Further facts for people, kept in ``MLmodel``.
    created : datetime
        Time that ``MLmodel`` shows: that of the run, so that a lost folder can be written again to the same digest.
    """

    native: Path
    family: str
    features: list[str]
    library_version: str
    metadata: dict[str, str]
    created: dt.datetime = _UNKNOWN

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
        content, loader_code = self.native.read_bytes(), LOADER.read_bytes()
        functions = standalone_module(self.family).encode()
        loader_name = model_layout.module_name("loader", hashlib.sha256(loader_code).hexdigest())
        functions_name = model_layout.module_name(self.family, hashlib.sha256(functions).hexdigest())
        sha256 = hashlib.sha256(content).hexdigest()
        about = model_layout.description_file(self.family, self.native.name, sha256, self.features, functions_name)
        python = platform.python_version()
        created = self.created.strftime("%Y-%m-%d %H:%M:%S.%f")
        facts = model_layout.ModelFacts(
            loader_name, python, _version("mlflow"), model_id, run_id, created, self.metadata
        )
        _put(folder / "model" / self.native.name, content)
        _put(folder / "model" / "model.json", about)
        _put(folder / "code" / f"{loader_name}.py", loader_code)
        _put(folder / "code" / f"{functions_name}.py", functions)
        _put(folder / "requirements.txt", "".join(f"{line}\n" for line in self.requirements()).encode())
        _put(folder / "python_env.yaml", model_layout.environment_file(python))
        _put(folder / "MLmodel", model_layout.mlmodel_file(facts, self.features))
        return {"model_digest": folder_digest(folder), "model_sha256": sha256}

    def requirements(self) -> list[str]:
        """Packages that an environment needs to load and serve the model.

        Returns
        -------
        list of str
            Pinned, as ``lightgbm==4.6.0``.
        """
        own = self.library_version.replace(" ", "==") if " " in self.library_version else self.family
        return [own, *(f"{name}=={_version(name)}" for name in model_layout.SUPPORT)]


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
