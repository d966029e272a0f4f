"""What the registry says of a version: a model card in Markdown, and tags with the figures of its grade.

Pure functions; MLflow is not imported here. The card is made from what training stored. A champion's card ends with a
section of its own, which promotion writes and which stays when the rest is written again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from src.core.instruments import POOLED
from src.core.text import escaped
from src.evaluation.glossary import term
from src.evaluation.grade import GATE_METRICS, GateMetric, Thresholds
from src.tracking.demands import shown_figure

if TYPE_CHECKING:
    from src.tracking.run_record import RunContent

EVIDENCE = ("z", "q_value", "luck_rate", "deflated_sharpe")
SIMULATED = "**Simulated bars**: instruments and profits are invented."
"""Sentence of every description of a run on simulated bars."""
_USUAL_STORE = "sqlite:///mlruns/mlflow.db"
CHAMPION = "\n\n### Champion\n"
"""Heading of the section that promotion writes."""


@dataclass(frozen=True)
class Card:
    """Description and tags of a version or of a registered model."""

    description: str
    tags: dict[str, str]


def version_card(content: RunContent, run_id: str, thresholds: Thresholds, session: Mapping[str, Any]) -> Card:
    """Describe one version.

    Parameters
    ----------
    content : RunContent
        Of the run behind it.
    run_id : str
        Of MLflow's run.
    thresholds : Thresholds
        Those that the registry demands.
    session : mapping
        What is known of the session that graded the run: ``name``, ``passed``, ``runs`` and ``expected_lucky_passes``.

    Returns
    -------
    Card
    """
    params, metrics = content.params, content.metrics
    name, to = params["registered_name"], content.tags.get("alpha.last_oos", "")
    parts = [
        f"{markdown_text(content.name)}, {markdown_text(params['library_version'])}: {_prediction(params)}",
        SIMULATED if "alpha.simulated" in content.tags else "",
        _table(metrics, thresholds),
        _luck(session),
        f"Graded on {_count(metrics.get('n_oos'))} out-of-sample bars{f' up to {to}' if to else ''}, by run "
        f"`{run_id}`. The grade is of the walk-forward procedure; this model is a refit on all data and has no "
        "out-of-sample record of its own.",
        f"### Use\n```python\nimport mlflow\n\nmlflow.set_tracking_uri({_USUAL_STORE!r})  # or your `tracking.uri`\n"
        f"model = mlflow.pyfunc.load_model({f'models:/{name}@champion'!r})\n"
        f"model.predict(features)  # a frame with {params['n_features']} feature columns, in the order of its signature"
        "\n```\n`python -m src.predict` does this for every champion, with the features of today's bars.",
    ]
    figures = {key: metrics[key] for key in (*(metric.name for metric in GATE_METRICS), *EVIDENCE) if key in metrics}
    tags = {key: _shown(key, value) for key, value in figures.items()}
    tags |= {
        "family": params["family"],
        "dataset": params["dataset"],
        "n_oos": _count(metrics.get("n_oos")).replace(",", ""),
    }
    tags |= {"data_to": to, "session": str(session.get("name") or content.session_key), "run_id": run_id}
    return Card("\n\n".join(filter(None, parts)), {key: value for key, value in tags.items() if value})


def model_card(content: RunContent) -> Card:
    """Describe a registered model, whose versions are fits of several families and sessions.

    Parameters
    ----------
    content : RunContent
        Of the run behind one of its versions.
    """
    params = content.params
    name = params["registered_name"]
    text = (
        f"{markdown_text(name)}: {_prediction(params)}\n\nEvery version cleared the four thresholds out of sample. "
        "The alias `champion` names the one that `python -m src.predict` asks; `python -m src.promote` chooses it by "
        "the strength of the evidence."
    )
    text += f"\n\n{SIMULATED}" if "alpha.simulated" in content.tags else ""
    return Card(text, {key: params[key] for key in ("asset_class", "symbol", "dataset")})


def with_champion(description: str | None, section: str | None) -> str:
    """Give a description with another section on the champion, or without one.

    Parameters
    ----------
    description : str or None
    section : str or None
        Its text; None takes the section away.
    """
    base = (description or "").partition(CHAMPION)[0]
    return base if section is None else f"{base}{CHAMPION}{section}"


def champion_reason(kind: str, at: str, who: str, why: str = "", demanded: str = "") -> str:
    """Say why a version is champion.

    Parameters
    ----------
    kind : str
        ``promote`` or ``undo``.
    at, who : str
        When, and by whom.
    why : str
        The reason that was given; may be empty.
    demanded : str
        Evidence that was demanded; may be empty.
    """
    said = [f"Champion by {kind} of {at}, by {who}."]
    said += [f"Reason given: {why}."] if why else []
    said += ["Versions that clear the gate are ranked by the z of their AUC, then by their Sharpe ratio; a person may "]
    said[-1] += "name another."
    said += [f"Evidence demanded of {demanded}."] if demanded else []
    return markdown_text(" ".join(said))


def champion_section(description: str | None) -> str | None:
    """Give the section on the champion of a description; None where it has none.

    Parameters
    ----------
    description : str or None
    """
    _, heading, section = (description or "").partition(CHAMPION)
    return section if heading else None


def _prediction(params: Mapping[str, str]) -> str:
    """What the model says, in one sentence."""
    horizon = params.get("label.horizon", "1")
    if params["asset_class"] == POOLED:
        kind, portfolio, families = (
            markdown_text(params.get(name, "")) for name in ("universe_class", "portfolio", "families")
        )
        return f"ranks {kind} names by their return over {horizon} bars, for the {portfolio} portfolio: {families}."
    later = "the open after it" if horizon == "1" else f"the open {horizon} bars later"
    return f"the probability that {markdown_text(params['symbol'])} rises from the next bar's open to {later}."


def _table(metrics: Mapping[str, float], thresholds: Thresholds) -> str:
    lines = ["| figure | out of sample | demanded | what it is |", "|---|---|---|---|"]
    for metric in GATE_METRICS:
        lines.append(_line(metric.name, metrics, _demanded(metric, thresholds)))
    return "\n".join([*lines, *(_line(name, metrics, "") for name in EVIDENCE)])


def _shown(name: str, value: float) -> str:
    """A figure for a person; a probability that is not quite 1 is not shown as 1."""
    return ">0.999" if name == "deflated_sharpe" and 0.9995 <= value < 1 else shown_figure(name, value)


def _demanded(metric: GateMetric, thresholds: Thresholds) -> str:
    limit = shown_figure(metric.name, thresholds.limit(metric))
    return f"{'at least' if metric.at_least else 'at most'} {limit}"


def _line(name: str, metrics: Mapping[str, float], demanded: str) -> str:
    value = _shown(name, metrics[name]) if name in metrics else "-"
    return f"| {term(name).title} | {value} | {demanded} | {term(name).definition} |"


def _luck(session: Mapping[str, Any]) -> str:
    lucky, runs, passed = (session.get(key) for key in ("expected_lucky_passes", "runs", "passed"))
    if lucky is None or not runs or passed is None:
        return ""
    return (
        f"In its session {passed:,.0f} of {runs:,.0f} runs passed; if no model had any skill, about {lucky:,.1f} would."
    )


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def markdown_text(value: str) -> str:
    """Escape a text from data, so that Markdown shows it as it stands.

    Parameters
    ----------
    value : str
    """
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|#!" else letter for letter in escaped(value))
