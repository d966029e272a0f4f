"""What to type so that DVC agrees with a stage that was run by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from src.config.compose import compose
from src.config.constraints import values
from src.config.text_values import read_yaml
from src.core.project import ROOT

if TYPE_CHECKING:
    from src.config.schema import Config

_UNVERSIONED = (  # change no output in DVC
    *("engine.", "tracking.", "data.logs", "fresh", "experiment", "tune."),
    *("promotion.", "book.", "monitor.", "daily.", "refit", "date", "dry_run"),
)


def dvc_hint(verb: str, config: Config) -> str | None:
    """Say what to do so that DVC agrees with a stage that was run by hand.

    Parameters
    ----------
    verb : str
        Name of the command that ran.
    config : Config
        Its configuration, which is compared with what params.yaml and conf/ give.

    Returns
    -------
    str or None
        One sentence; None where DVC has nothing to do with the command.
    """
    stage = "train_pooled" if verb == "train" and config.scope.kind == "pooled" else verb
    if stage not in _stages() and verb != "daily":  # which runs several stages
        return None
    versioned = compose([f"scope={config.scope.kind}"] if verb == "train" else [])
    if config.only or config.dataset != versioned.dataset:
        return None  # a part of a dataset, or a dataset that DVC does not version
    usual = dict(values(versioned))
    ignored = (*_UNVERSIONED, "split.until") if config.refit else _UNVERSIONED  # a refit has just moved it
    differs = [key for key, value in values(config) if usual.get(key) != value and not key.startswith(ignored)]
    if not differs:
        return f"DVC does not know of this run yet: dvc commit -f{'' if verb == 'daily' else f' {stage}'}"
    return (
        f"dvc repro would give another {config.dataset}: {differs[0]} differs from params.yaml and conf/. To keep this"
        " result, set it there and run dvc repro"
    )


def _stages() -> dict[str, Any]:
    """Stages of dvc.yaml; none where there is no such file."""
    path = ROOT / "dvc.yaml"
    return dict((read_yaml(path, None) or {}).get("stages", {})) if path.exists() else {}
