"""The text files of a logged model's folder, as a function of what differs between models.

The writer (`src.tracking.model_package`) and the gate's check (`src.tracking.model_files`) render them by the same
functions, so a folder that differs in any byte from what the writer makes is recognised.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SUPPORT = ("mlflow", "numpy", "pandas")
"""Packages that every model needs beside its library."""


class ForeignFolder(Exception):
    """A folder that training did not write; the message gives the first difference."""


@dataclass(frozen=True)
class ModelFacts:
    """What differs between the ``MLmodel`` files of two models, apart from their features.

    Attributes
    ----------
    loader_module : str
        Name of the loader's module.
    python_version, mlflow_version : str
        With which the model was written.
    model_id, run_id : str
        MLflow's ids.
    created : str
        Time in UTC.
    metadata : mapping
        Further facts for people: texts by name.
    """

    loader_module: str
    python_version: str
    mlflow_version: str
    model_id: str
    run_id: str
    created: str
    metadata: Mapping[str, str]


def module_name(what: str, sha256: str) -> str:
    """Name of a module by its content: one process may load models of several releases of this project.

    Parameters
    ----------
    what : str
        ``loader``, or a family.
    sha256 : str
        Of the module.
    """
    return f"alpha_loop_{what}_{sha256[:8]}"


def mlmodel_file(facts: ModelFacts, features: Sequence[str]) -> bytes:
    """Render ``MLmodel``.

    Parameters
    ----------
    facts : ModelFacts
    features : sequence of str
        In the order the model was trained on.
    """
    columns = [{"type": "double", "name": name, "required": True} for name in features]
    output = [{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1]}}]
    flavor = {
        "code": "code",
        "data": "model",
        "env": {"virtualenv": "python_env.yaml"},
        "loader_module": facts.loader_module,
        "python_version": facts.python_version,
        "streamable": False,
    }
    return _yaml(
        {
            "artifact_path": "model",
            "flavors": {"python_function": flavor},
            "metadata": dict(facts.metadata),
            "mlflow_version": facts.mlflow_version,
            "model_id": facts.model_id,
            "model_uuid": facts.model_id,
            "run_id": facts.run_id,
            "signature": {"inputs": json.dumps(columns), "outputs": json.dumps(output), "params": None},
            "utc_time_created": facts.created,
        },
        sort_keys=False,
        width=1000,
    )


def environment_file(python_version: str) -> bytes:
    """Render ``python_env.yaml``.

    Parameters
    ----------
    python_version : str
    """
    return _yaml({"python": python_version, "dependencies": ["-r requirements.txt"]})


def description_file(family: str, file: str, sha256: str, features: Sequence[str], functions: str | None) -> bytes:
    """Render ``model/model.json``.

    Parameters
    ----------
    family : str
    file : str
        Name of the native model file.
    sha256 : str
        Of the native model file.
    features : sequence of str
        In the order the model was trained on.
    functions : str or None
        Name of the module with the family's functions; None for a loader that has them itself.
    """
    about: dict[str, Any] = {"family": family, "file": file, "sha256": sha256, "features": list(features)}
    about |= {} if functions is None else {"functions": functions}
    return json.dumps(about, indent=1).encode()


@dataclass(frozen=True)
class PooledFacts:
    """What differs between the ``model.json`` files of two pooled models, apart from family, file and columns.

    Attributes
    ----------
    categories : sequence of int
        Positions of the columns that are not ranked.
    seed : int
        Of the order of ties.
    members : mapping
        Module with the functions of each member, by the name of its native file in the zip, in their order.
    ranks : str
        Name of the module that ranks a day.
    """

    categories: Sequence[int]
    seed: int
    members: Mapping[str, str]
    ranks: str


def pooled_description_file(family: str, file: str, sha256: str, features: Sequence[str], facts: PooledFacts) -> bytes:
    """Render ``model/model.json`` of a pooled model.

    Parameters
    ----------
    family, file, sha256, features
        As of `description_file`; the file is the zip of the members' native files.
    facts : PooledFacts
    """
    about: dict[str, Any] = {"family": family, "file": file, "sha256": sha256, "features": list(features)}
    about |= {"categories": list(facts.categories), "seed": facts.seed}
    about |= {"members": [{"file": name, "functions": module} for name, module in facts.members.items()]}
    return json.dumps(about | {"ranks": facts.ranks}, indent=1).encode()


def read_yaml(content: bytes) -> Any:
    """Parse YAML without any object beyond its plain types; by libyaml where it is there, which is 18 times faster.

    Parameters
    ----------
    content : bytes

    Raises
    ------
    yaml.YAMLError
        If the content is not YAML.
    """
    import yaml

    return yaml.load(content, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _yaml(content: Mapping[str, Any], **style: Any) -> bytes:
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the same bytes, 16 times faster
    return str(yaml.dump(dict(content), Dumper=dumper, **style)).encode()
