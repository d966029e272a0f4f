"""Found and missed: how the session did on simulated instruments whose skill is known beforehand."""

from __future__ import annotations

from src.reporting.formatting import DASH, chance, counted, share, three_digits, two_digits
from src.reporting.rendering import render
from src.reporting.session_data import KEY, Material
from src.reporting.summary import planted_counts
from src.reporting.tables import Column, Row, Table, table

MOST_ROWS = 200


def verdict(tried: bool, planted: bool, passed: bool) -> str:
    """Name what happened to one instrument."""
    if planted:
        return "found" if passed else "missed" if tried else "missed: not trained"
    return "lucky" if passed else "rightly failed"


def rows(material: Material) -> list[Row]:
    """Give one row for each planted or passing instrument, planted ones first, with its best run's evidence."""
    planted = material.planted or frozenset()
    best = material.grades.sort(
        "passed", "q_value", "p_value", "auc", "family", descending=[True, False, False, True, False], nulls_last=True
    ).unique(KEY, keep="first", maintain_order=True)
    by_key = {(row["asset_class"], row["symbol"]): row for row in best.iter_rows(named=True)}
    passed = {key for key, row in by_key.items() if row["passed"]}
    shown = sorted(planted) + sorted(passed - planted)
    empty = dict.fromkeys(best.columns)
    return [
        {
            **(by_key.get(key) or empty),
            "asset_class": key[0],
            "symbol": key[1],
            "verdict": verdict(key in by_key, key in planted, key in passed),
        }
        for key in shown
    ]


def found_and_missed(material: Material) -> str:
    """Write the found/missed counts and table; nothing where the source plants no edge."""
    if material.planted is None:
        return ""
    counts = planted_counts(material)
    missing = f" ({counts['untrained']:,} of them never trained)" if counts["untrained"] else ""
    words = (
        f"{counted(counts['planted'], 'instrument')} of this simulated universe carry a planted edge: "
        f"{counts['found']:,} found, {counts['missed']:,} missed{missing}. Of "
        f"{counted(counts['without_skill'], 'instrument')} without any edge, {counts['lucky']:,} passed by luck."
    )
    listing = rows(material)
    columns = [
        Column("symbol", lambda r: r["symbol"]),
        Column("class", lambda r: r["asset_class"]),
        Column("verdict", lambda r: r["verdict"], mark=lambda r: r["verdict"].partition(":")[0]),
        Column("best family", lambda r: r["family"] or DASH),
        Column("AUC", lambda r: three_digits(r["auc"]), lambda r: r["auc"]),
        Column("Sharpe", lambda r: two_digits(r["sharpe"]), lambda r: r["sharpe"]),
        Column("luck rate", lambda r: share(r["luck_rate"]), lambda r: r["luck_rate"]),
        Column("q", lambda r: chance(r["q_value"]), lambda r: r["q_value"]),
        Column("misses", lambda r: "; ".join(r["reasons"] or [])),
    ]
    caption = "Planted instruments, and instruments without an edge that passed"
    if len(listing) > MOST_ROWS:
        caption += f" (the first {MOST_ROWS:,} of {len(listing):,})"
    found = table(columns, listing[:MOST_ROWS], caption, "verdicts") if listing else None
    return render("planted", words=words, square=_square(counts), listing=found)


def _square(counts: dict[str, int]) -> Table:
    """Compute the two-by-two table of planted against passed."""
    lines = [
        {"name": "edge planted", "passed": counts["found"], "failed": counts["missed"]},
        {"name": "no edge", "passed": counts["lucky"], "failed": counts["without_skill"] - counts["lucky"]},
    ]
    columns = [
        Column("instruments", lambda r: r["name"]),
        Column("passed", lambda r: f"{r['passed']:,}", lambda r: r["passed"]),
        Column("failed", lambda r: f"{r['failed']:,}", lambda r: r["failed"]),
    ]
    return table(columns, lines, "Edge planted against passed", "square")
