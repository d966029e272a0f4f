"""SQL triggers of the model registry: the rules of `src.tracking.registry_gate` in the SQL of sqlite or PostgreSQL.

They protect the registry from clients that run without the plugin `src.tracking.registry_store`. They leave out the
check of the model files, and give no reasons; a test compares both with that module. The owner of MLflow's tables can
drop the triggers.
"""

from __future__ import annotations

from collections.abc import Iterator

from src.evaluation.grade import GATE_METRICS, GateMetric
from src.tracking.gate_sql import GateTrigger
from src.tracking.registry_gate import ASSET_PREFIXES, CHAMPION, DELETED, LARGEST, MARK, PLACEBO, READY

_REFUSAL = "alpha-loop gate: the run behind this model does not clear the thresholds, or is not the one that made it"


def registry_triggers(dialect: str) -> Iterator[GateTrigger]:
    """Yield the triggers on new versions, changed versions, stages, new aliases and moved aliases.

    Parameters
    ----------
    dialect : str
        ``sqlite`` or ``postgresql``.

    Yields
    ------
    GateTrigger
    """
    differs = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    bound = ("name", "source", "storage_location", "run_id")
    moved = " OR ".join(f"NEW.{column} {differs} OLD.{column}" for column in bound)
    fails = f"NOT {_clears('NEW', 'min_oos', dialect)}"
    kept = f"NEW.current_stage <> '{DELETED}' AND ({moved}) AND {fails}"
    staged = f"NEW.current_stage IN ('Staging', 'Production') AND {fails}"
    versions, aliases = "model_versions", "registered_model_aliases"
    yield GateTrigger(f"{MARK}_insert", "INSERT", versions, fails, _REFUSAL)
    yield GateTrigger(f"{MARK}_update", f"UPDATE OF {', '.join(bound)}", versions, kept, _REFUSAL)
    yield GateTrigger(f"{MARK}_stage", "UPDATE OF current_stage", versions, staged, _REFUSAL)
    for name, event in (("alias", "INSERT"), ("alias_moved", "UPDATE OF alias, version")):
        yield GateTrigger(f"{MARK}_{name}", event, aliases, f"NOT {_clears_alias(dialect)}", _REFUSAL)


def _clears_alias(dialect: str) -> str:
    least = f"CASE lower(NEW.alias) WHEN '{CHAMPION}' THEN 'min_oos_promote' ELSE 'min_oos' END"
    return (
        "EXISTS (SELECT 1 FROM model_versions mv WHERE mv.workspace = NEW.workspace AND mv.name = NEW.name "
        f"AND mv.version = NEW.version AND mv.current_stage <> '{DELETED}' AND {_clears('mv', least, dialect)})"
    )


def _clears(row: str, least: str, dialect: str) -> str:
    """SQL condition: the model version `row` clears the gate, apart from its files."""
    bars = least if least.startswith("CASE") else f"'{least}'"
    parts = [
        f"lm.artifact_location = {row}.storage_location AND lm.status = {READY} AND lm.lifecycle_stage = 'active'",
        "r.lifecycle_stage = 'active' AND r.status = 'FINISHED'",
        f"coalesce({row}.run_id, '') IN ('', r.run_uuid)",
        f"({row}.source = 'models:/' || lm.model_id OR EXISTS (SELECT 1 FROM model_versions c WHERE "
        f"{row}.source = 'models:/' || c.name || '/' || c.version AND c.storage_location = lm.artifact_location))",
        f"{_param('model_id')} = lm.model_id AND {_param('model_digest')} IS NOT NULL",
        f"({_param('registered_name')} = {row}.name OR NOT ({_instrument_name(row)}))",
        *(_meets(metric) for metric in GATE_METRICS),
        f"{_metric('n_oos')} >= {_limit(bars)} AND {_metric('n_oos')} < {LARGEST:g}",
        f"({_param('suspicious')} IS NULL OR {_cleared(dialect)})",
        *(f"NOT {_is_placebo(table)}" for table in ("params", "tags")),
    ]
    joined = "logged_models lm JOIN runs r ON r.run_uuid = lm.source_run_id"
    return f"EXISTS (SELECT 1 FROM {joined} WHERE {' AND '.join(parts)})"


def _meets(metric: GateMetric) -> str:
    value, side = _metric(metric.name), ">=" if metric.at_least else "<="
    low, high = max(metric.lowest, -LARGEST), min(metric.highest, LARGEST)
    return f"{value} BETWEEN {low:g} AND {high:g} AND {value} {side} {_limit(repr(metric.threshold))}"


def _metric(name: str) -> str:
    once = "CASE WHEN count(*) = 1 AND sum(CASE WHEN m.is_nan THEN 1 ELSE 0 END) = 0 THEN min(m.value) END"
    return f"(SELECT {once} FROM metrics m WHERE m.run_uuid = r.run_uuid AND m.key = '{name}')"


def _limit(name: str) -> str:
    return f"(SELECT g.value FROM {MARK} g WHERE g.name = {name})"


def _param(name: str) -> str:
    return f"(SELECT p.value FROM params p WHERE p.run_uuid = r.run_uuid AND p.key = '{name}')"


def _is_placebo(table: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM {table} p WHERE p.run_uuid = r.run_uuid AND p.key = 'arm' "
        f"AND lower(trim(p.value)) = '{PLACEBO}')"
    )


def _instrument_name(row: str) -> str:
    return " OR ".join(f"lower(substr({row}.name, 1, {len(prefix)})) = '{prefix}'" for prefix in ASSET_PREFIXES)


def _cleared(dialect: str) -> str:
    """SQL condition: a person has cleared the run, with name and reason in JSON."""
    filled = " AND ".join(f"trim(coalesce(json_extract(t.value, '$.{key}'), '')) <> ''" for key in ("who", "why"))
    has_reason = f"CASE WHEN json_valid(t.value) THEN {filled} ELSE 0 END"
    if dialect == "postgresql":
        has_reason = f"{MARK}_said(t.value)"
    return f"EXISTS (SELECT 1 FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key = 'alpha.cleared' AND {has_reason})"


HAS_REASON = (
    "BEGIN RETURN "
    + " AND ".join(f"trim(coalesce(said::json ->> '{key}', '')) <> ''" for key in ("who", "why"))
    + "; EXCEPTION WHEN OTHERS THEN RETURN false; END"
)
"""Body of PostgreSQL's function ``alpha_loop_gate_said``: whether a JSON text names who cleared a run, and why."""
