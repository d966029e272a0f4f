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
import json
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from src.models.registry import standalone_module
from src.tracking import loader, registry_gate

LOADER = Path(loader.__file__)
_SUPPORT = ("mlflow", "numpy", "pandas")
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
    """

    native: Path
    family: str
    features: list[str]
    library_version: str
    metadata: dict[str, str]

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
        import yaml

        content, loader_code = self.native.read_bytes(), LOADER.read_bytes()
        functions = standalone_module(self.family).encode()
        loader_name, functions_name = _module_name("loader", loader_code), _module_name(self.family, functions)
        sha256 = hashlib.sha256(content).hexdigest()
        description = {"family": self.family, "file": self.native.name, "sha256": sha256, "features": self.features}
        description |= {"functions": functions_name}
        _put(folder / "model" / self.native.name, content)
        _put(folder / "model" / "model.json", json.dumps(description, indent=1).encode())
        _put(folder / "code" / f"{loader_name}.py", loader_code)
        _put(folder / "code" / f"{functions_name}.py", functions)
        _put(folder / "requirements.txt", "".join(f"{line}\n" for line in self.requirements()).encode())
        environment = {"python": platform.python_version(), "dependencies": ["-r requirements.txt"]}
        _put(folder / "python_env.yaml", yaml.safe_dump(environment).encode())
        mlmodel = self._mlmodel(loader_name, model_id, run_id)
        _put(folder / "MLmodel", yaml.safe_dump(mlmodel, sort_keys=False, width=1000).encode())
        return {"model_digest": registry_gate.folder_digest(folder), "model_sha256": sha256}

    def requirements(self) -> list[str]:
        """Packages that an environment needs to load and serve the model.

        Returns
        -------
        list of str
            Pinned, as ``lightgbm==4.6.0``.
        """
        own = self.library_version.replace(" ", "==") if " " in self.library_version else self.family
        return [own, *(f"{name}=={_version(name)}" for name in _SUPPORT)]

    def _mlmodel(self, module: str, model_id: str, run_id: str) -> dict[str, object]:
        columns = [{"type": "double", "name": name, "required": True} for name in self.features]
        output = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]
        flavor = {
            "code": "code",
            "data": "model",
            "env": {"virtualenv": "python_env.yaml"},
            "loader_module": module,
            "python_version": platform.python_version(),
            "streamable": False,
        }
        return {
            "artifact_path": "model",
            "flavors": {"python_function": flavor},
            "metadata": self.metadata,
            "mlflow_version": _version("mlflow"),
            "model_id": model_id,
            "model_uuid": model_id,
            "run_id": run_id,
            "signature": {"inputs": json.dumps(columns), "outputs": json.dumps(output), "params": None},
            "utc_time_created": dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
        }


def _module_name(what: str, content: bytes) -> str:
    """Name of a module by its content: one process may load models of several releases of this project."""
    return f"alpha_loop_{what}_{hashlib.sha256(content).hexdigest()[:8]}"


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
