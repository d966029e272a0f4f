"""Show all that is stored of an instrument: ``python -m src.data AAPL [crypto:BTC-USD ...] [universe=full] [--json]``.

Its bars and events, what providers were asked, the state and reason of every stage, its grades and runs. It only reads,
and may run beside any other command. A name that two classes have shows both.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from src.core.errors import ConfigError

Json = dict[str, Any]
_BARS = ("date", "open", "high", "low", "close", "volume", "factor", "split")
_FIGURES = {"auc": ".3f", "accuracy": ".1%", "sharpe": ".2f", "max_drawdown": ".1%", "luck_rate": ".3f"}


def data(arguments: Sequence[str]) -> int:
    """Show the instruments named; return the exit status."""
    chosen = _parser().parse_intermixed_args(list(arguments))
    overrides = [word for word in chosen.words if "=" in word]
    names = [word for word in chosen.words if "=" not in word]
    from src.config.compose import compose
    from src.inspection.instrument import dossier, known

    try:
        if not names:
            raise ConfigError("name an instrument: python -m src.data AAPL, or crypto:BTC-USD")
        config = compose(overrides)
        keys = list(dict.fromkeys(key for name in names for key in known(config, name)))
        found = [dossier(config, key, chosen.bars) for key in keys]
    except ConfigError as error:
        sys.stderr.write(f"data: {error}\n")
        return 2
    words = json.dumps(found, indent=2) if chosen.json else "\n\n".join("\n".join(told(each)) for each in found)
    sys.stdout.write(words + "\n")
    return 0


def told(found: Json) -> Iterator[str]:
    """An instrument's dossier in words."""
    yield f"{found['asset_class']}:{found['symbol']} in {found['dataset']}"
    chosen = found["universe"]
    if chosen is not None:
        yield f"  universe    {'in' if chosen['included'] else 'out'}: {chosen['reason']}"
    for listed in found["listings"]:
        yield "  listing     " + _pairs(listed)
    if found["asked"] is not None:
        yield from _asked(found["asked"])
    for stage, row in found["states"].items():
        yield f"  {stage:<12}" + ("not yet" if row is None else _state(row))
    yield from _bars(found["bars"])
    if found["events"]:
        yield f"  events      {len(found['events']):,}, the last:"
        yield from (f"    {each['date']}  {each['kind']:<12} {each['value']:g}" for each in found["events"][-5:])
    yield from _grades(found)


def _asked(entry: Json) -> Iterator[str]:
    span = f"{entry['rows']:,} bars, {entry['first']} to {entry['last']}" if entry.get("rows") else "no bars"
    yield f"  fetch       {entry['state']} from {entry['provider'] or 'nobody yet'}; {span}; {entry['tries']} tries"
    if entry["checked"]:
        yield f"    last good answer {entry['checked']}"
    if entry["reason"]:
        then = entry["next_attempt"] or "as due"
        yield f"    {entry['error_class'] or 'error'}: {entry['reason']}; next attempt {then}"
    if entry.get("facts"):
        yield f"    {_pairs(entry['facts'])}"


def _state(row: Json) -> str:
    words = f"{row['state']}: {row['reason']}" if row.get("reason") else str(row["state"])
    if row.get("rows"):
        words += f" ({row['rows']:,} rows, {row['first']} to {row['last']})"
    more = {name: row.get(name) for name in ("basis", "liquidity", "repaired")}
    if more["liquidity"] is not None:
        words += f"; {more['liquidity']:,.0f} dollars a day"
    return words + (f"; {more['basis']}" if more["basis"] else "")


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


def _grades(found: Json) -> Iterator[str]:
    for row in found["grades"]:
        figures = ", ".join(f"{name} {_figure(row.get(name), style)}" for name, style in _FIGURES.items())
        reasons = row.get("reasons")
        reason = "; ".join(reasons) if isinstance(reasons, list) else reasons
        doubt = f"; suspicious: {row['suspicious']}" if row.get("suspicious") else ""
        doubt += f"; settings chosen among {row['tuning_trials']:,} trials" if row.get("tuning_trials") else ""
        verdict = "passed" if row["passed"] else "failed"
        yield f"  {row['family']:<12}{verdict}: {figures}{f'; {reason}' if reason else ''}{doubt}"
    for each in found["failures"]:
        yield f"  {each['family']:<12}could not be trained at {each['at']}: {each['reason']}"
        yield from (f"    {line}" for line in each["traceback"].rstrip().splitlines())
    old = sum(run["superseded"] for run in found["runs"])
    if found["runs"]:
        last = found["runs"][-1]["created_at"]
        yield f"  runs        {len(found['runs']):,} ever trained, {old:,} superseded, the last {last}"


def _figure(value: float | None, style: str) -> str:
    return "undefined" if value is None else format(value, style)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 1e5 else f"{value:.6g}"
    return "-" if value is None else str(value)


def _pairs(facts: Json) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items() if value not in (None, ""))


def _parser() -> argparse.ArgumentParser:
    purpose = (__doc__ or "").partition("\n\n")[2]
    parser = argparse.ArgumentParser(prog="python -m src.data", description=purpose)
    parser.add_argument("words", nargs="*", metavar="instrument or key=value", help="AAPL, stock:AAPL, universe=full")
    parser.add_argument("--bars", type=_bars_wanted, default=10, metavar="N", help="how many of the last bars (10)")
    parser.add_argument("--json", action="store_true", help="plain values, a list with one object an instrument")
    return parser


def _bars_wanted(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, got {text}: 10 is the usual value")
    return int(text)


if __name__ == "__main__":
    from src.runtime.command import run_command

    run_command(data)
