"""The text that ``python -m src.data`` shows of one instrument."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from src.evaluation.grade import GATE_METRICS
from src.inspection.research_view import fact_lines
from src.market.bar_findings import WHOLE

Json = dict[str, Any]
_BARS = ("date", "open", "high", "low", "close", "volume", "factor", "split")
_METRICS = {**{metric.name: metric.form for metric in GATE_METRICS}, "luck_rate": ".3f"}


def lines(dossier: Json) -> Iterator[str]:
    """Format a dossier as plain text.

    Parameters
    ----------
    dossier : dict
        From `src.inspection.instrument.dossier`.

    Yields
    ------
    str
        One line.
    """
    yield f"{dossier['asset_class']}:{dossier['symbol']} in {dossier['dataset']}"
    chosen = dossier["universe"]
    if chosen is not None:
        yield f"  universe    {'in' if chosen['included'] else 'out'}: {chosen['reason']}"
    for listed in dossier["listings"]:
        yield "  listing     " + _pairs(listed)
    if dossier["asked"] is not None:
        yield from _asked(dossier["asked"])
    for stage, row in dossier["states"].items():
        is_listed = stage == "hydrate" and bool(dossier["findings"])  # the findings give the reason, a line each
        yield f"  {stage:<12}" + ("not yet" if row is None else _state(row, with_reason=not is_listed))
    yield from _findings(dossier["findings"], dossier["quality_page"])
    yield from _bars(dossier["bars"])
    if dossier["events"]:
        yield f"  events      {len(dossier['events']):,}, the last:"
        yield from (f"    {event['date']}  {event['kind']:<12} {event['value']:g}" for event in dossier["events"][-5:])
    yield from fact_lines(dossier["research"])
    yield from (_grade(row) for row in dossier["grades"])
    yield from _pooled(dossier["pooled"])
    yield from _failures(dossier["failures"])
    if dossier["runs"]:
        yield _runs(dossier["runs"])
    if dossier.get("compare"):
        yield f"  in MLflow   {dossier['compare']}"


def _asked(entry: Json) -> Iterator[str]:
    span = f"{entry['rows']:,} bars, {entry['first']} to {entry['last']}" if entry.get("rows") else "no bars"
    provider = entry["provider"] or "no provider yet"
    yield f"  fetch       {entry['state']} from {provider}; {span}; {entry['tries']} tries"
    if entry["checked"]:
        yield f"    last good answer {entry['checked']}"
    if entry["reason"]:
        retry = entry["next_attempt"] or "as due"
        yield f"    {entry['error_class'] or 'error'}: {entry['reason']}; next attempt {retry}"
    if entry.get("facts"):
        yield f"    {_pairs(entry['facts'])}"


def _state(row: Json, *, with_reason: bool) -> str:
    text = f"{row['state']}: {row['reason']}" if with_reason and row.get("reason") else str(row["state"])
    if row.get("rows"):
        text += f" ({row['rows']:,} rows, {row['first']} to {row['last']})"
    if row.get("liquidity") is not None:
        text += f"; {row['liquidity']:,.0f} dollars a day"
    return text + (f"; {row['basis']}" if row.get("basis") else "")


def _findings(findings: list[Json], page: str | None) -> Iterator[str]:
    """One line a rule: what it led to, its name, the sentence and the days."""
    if findings:
        beside = f", beside those of all instruments in {page}" if page else ""
        yield f"  findings    {len(findings):,}{beside}:"
    for row in findings:
        days = [str(day) for day in dict.fromkeys((row["first"], row["last"])) if day]
        when = f" ({' to '.join(days)})" if days else ""
        rule = "reason, whole" if row["rule"] == WHOLE else row["rule"]
        yield f"    {row['effect']:<12}{rule:<18}{row['text']}{when}"


def _bars(bars: Json) -> Iterator[str]:
    if not bars["rows"]:
        yield "  bars        none stored"
        return
    shown = len(bars["latest"])
    tail = f", the last {shown}:" if shown else ""
    yield f"  bars        {bars['rows']:,}, {bars['first']} to {bars['last']}, {bars['repaired']:,} repaired{tail}"
    if shown:
        table = [list(_BARS), *([_cell(bar[name]) for name in _BARS] for bar in bars["latest"])]
        widths = [max(len(row[column]) for row in table) for column in range(len(_BARS))]
        for row in table:
            yield "    " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True))


def _grade(row: Json) -> str:
    metrics = ", ".join(f"{name} {_metric(row.get(name), style)}" for name, style in _METRICS.items())
    reasons = row.get("reasons")
    reasons = "; ".join(reasons) if isinstance(reasons, list) else reasons
    notes = f"; {reasons}" if reasons else ""
    notes += f"; suspicious: {row['suspicious']}" if row.get("suspicious") else ""
    notes += f"; settings chosen among {row['tuning_trials']:,} trials" if row.get("tuning_trials") else ""
    return f"  {row['family'] + ' ':<12}{'passed' if row['passed'] else 'failed'}: {metrics}{notes}"


def _pooled(pooled: Json | None) -> Iterator[str]:
    """Whether the pooled scope ranked the instrument, and its place and weight in each portfolio."""
    if pooled is None:
        return
    state = pooled["state"]
    if state is None:
        yield "  pooled      not yet"
    elif state["state"] == "done":
        yield f"  pooled      eligible on {state['rows']:,} graded days, {state['first']} to {state['last']}"
    else:
        yield f"  pooled      {_state(state, with_reason=True)}"
    for row in pooled["portfolios"]:
        yield f"    {row['portfolio']} by {row['family']}: {_rank(row)}{_weight(row)}"
    graded = pooled["by_instrument"]
    if graded:
        own = f"; {graded['own_family']} {_skill(graded, 'own_')}" if graded["own_family"] else ""
        yield f"    graded on it alone, hedged: {_skill(graded)}{own}; {_found(graded['found_by'])}"


def _found(by: str) -> str:
    if by == "neither":
        return "neither of the two clears the gate there"
    return f"found by {by}"


def _skill(row: Json, prefix: str = "") -> str:
    names = ("auc", "sharpe", "luck_rate")
    return ", ".join(f"{name} {_metric(row[prefix + name], _METRICS[name])}" for name in names)


def _rank(row: Json) -> str:
    if row["at"] is None:
        return "no rank is stored"
    if row["rank"] is None:
        return f"not among the {row['names']:,} names of {row['at']}"
    return f"rank {row['rank']:,} of {row['names']:,} on {row['at']}"


def _weight(row: Json) -> str:
    if row["weight"] is None:
        return ""
    return (
        f"; weight {row['weight']:+.2%} since {row['traded']}" if row["weight"] else f"; not held since {row['traded']}"
    )


def _failures(failures: list[Json]) -> Iterator[str]:
    for failure in failures:
        yield f"  {failure['family'] + ' ':<12}could not be trained at {failure['at']}: {failure['reason']}"
        yield from (f"    {line}" for line in failure["traceback"].rstrip().splitlines())


def _runs(runs: list[Json]) -> str:
    superseded = sum(run["superseded"] for run in runs)
    last = str(runs[-1]["created_at"])[:19]
    return f"  runs        {len(runs):,} ever trained, {superseded:,} superseded, the last {last}"


def _metric(value: float | None, style: str) -> str:
    return "undefined" if value is None else format(value, style)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1e5 else f"{value:.6g}"
    return "-" if value is None else str(value)


def _pairs(facts: Json) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value not in (None, ""))
