"""The data quality page's figures: its headline, the findings by rule, and the parts of the universe affected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from src.config.commands import command
from src.core.finding import EFFECTS
from src.core.instruments import KEY
from src.hydration.quality import OUTCOMES, USED, Quality, by_class, counts, sentence
from src.market.bar_findings import WHOLE
from src.reporting.formatting import integer, percent
from src.reporting.rendering import render
from src.reporting.report_data import ReportData
from src.reporting.tables import Column, table

QUALITY_PAGE = "quality.html"
MOST_SOURCES = 40
_LOST = ("quarantined", "failed", "skipped")


def quality_figures(data: Quality) -> dict[str, Any]:
    """Give the figures for metrics.json.

    Returns
    -------
    dict
        `src.hydration.quality.counts` of all instruments, the shares of bars repaired and of instruments affected, and
        the counts of each asset class.
    """
    found = data.counts()
    return {**found, **_shares(found), "by_asset_class": by_class(data.instruments)}


def affected(data: ReportData) -> str:
    """Say on the page of results what part of the universe hydration had to do something about.

    Returns
    -------
    str
        One sentence; empty where no bars are known.
    """
    if data.quality is None or data.quality.instruments.is_empty():
        return ""
    found = data.quality.counts()
    share = percent(_shares(found)["affected_share"])
    return f"Hydration repaired, shortened or set aside {share} of the universe's {found['instruments']:,} instruments."


def quality_headline(data: ReportData) -> str:
    """Write the top of the quality page.

    Returns
    -------
    str
        HTML.
    """
    quality = data.quality
    if quality is None:
        return render("quality", sentence="No bars have been hydrated here.", hint="", facts=[])
    found = quality.counts()
    facts = [("instruments", integer(found["instruments"])), ("used as they came", integer(found["as_they_came"]))]
    facts += [
        ("repaired", integer(found["repaired"])),
        ("bars repaired", percent(_shares(found)["repaired_bars_share"])),
    ]
    facts += [("with rows dropped", integer(found["rows_dropped"])), ("used with a remark", integer(found["noted"]))]
    facts += [(name, integer(found[name])) for name in _LOST]
    hint = ""
    if not quality.complete:
        hint = (
            "Some of these bars were hydrated before findings were recorded: their reasons are shown whole, without"
            " rule and count. Hydrate again to see them by rule: "
            f"{data.hydrate_command or command('hydrate', stored=data.dataset)}"
        )
    return render("quality", sentence=f"{sentence(found)}.", hint=hint, facts=facts)


def rules_section(data: ReportData) -> str:
    """Write the table of findings by rule: instruments, bars, share and an example.

    Returns
    -------
    str
        HTML; empty without findings.
    """
    quality = data.quality
    if quality is None or quality.findings.is_empty():
        return ""
    columns = [
        Column("rule", lambda r: rule_name(r["rule"])),
        Column("effect", lambda r: r["effect"]),
        _count("instruments"),
        Column("set aside", lambda r: integer(r["set_aside"]), lambda r: r["set_aside"], "of them not in use"),
        Column("bars", lambda r: integer(r["n"]) if r["n"] else "", lambda r: r["n"] or None, "bars, rows or steps"),
        Column("of their bars", lambda r: percent(r["share"]) if r["n"] else "", lambda r: r["share"]),
        Column("example", lambda r: f"{r['example']}: {r['text']}", mark=lambda _: "prose"),
    ]
    rows = by_rule(quality).to_dicts()
    intro = (
        "One line for each rule of hydration that found something. An instrument counts once in a line, and in as many"
        " lines as rules that found something of it. Bars are those of all its instruments, in use or set aside."
    )
    return render("quality_parts", intro=intro, listings=[table(columns, rows, "Findings by rule")])


def by_rule(quality: Quality) -> pl.DataFrame:
    """Count findings by effect and rule.

    Returns
    -------
    DataFrame
        effect, rule, instruments, set_aside (of them not in use), n (bars, rows or steps), share (of the bars of these
        instruments), example (an instrument), text; the gravest effect first, then by instruments.
    """
    names = pl.concat_str(KEY, separator=":")
    states = quality.instruments.select(*KEY, aside=~pl.col("outcome").is_in(USED))
    rows = quality.findings.join(states, on=KEY, how="left", maintain_order="left")
    rank = pl.col("effect").replace_strict({e: k for k, e in enumerate(EFFECTS)}, default=len(EFFECTS))
    grouped = rows.group_by("effect", "rule", maintain_order=True).agg(
        names.n_unique().cast(pl.Int64).alias("instruments"),
        names.filter(pl.col("aside").fill_null(True)).n_unique().cast(pl.Int64).alias("set_aside"),
        pl.col("n").sum(),
        share=pl.col("n").sum() / pl.col("of").filter(pl.col("n") > 0).sum(),
        example=names.get(pl.col("n").fill_null(0).arg_max()),
        text=pl.col("text").get(pl.col("n").fill_null(0).arg_max()),
    )
    return grouped.sort(rank, -pl.col("instruments"), "rule")


def parts_section(data: ReportData) -> str:
    """Write what part of the universe is affected, by asset class and by source.

    Returns
    -------
    str
        HTML.
    """
    quality = data.quality
    if quality is None or quality.instruments.is_empty():
        return ""
    intro = (
        "Bars repaired are a part of the bars in use. Dollar volume is the sum of the instruments' median daily dollar"
        " volumes, also of those set aside where their rows could be read; it is what they trade, by their own prices."
    )
    classes = [_part(quality.instruments.filter(asset_class=kind), kind) for kind in by_class(quality.instruments)]
    sources = [
        _part(rows, str(origin) or "not known")
        for (origin,), rows in quality.instruments.group_by("origin", maintain_order=True)
    ]
    sources.sort(key=lambda row: (-row["instruments"], row["name"]))
    caption = "By source" + (f": the {MOST_SOURCES} largest" if len(sources) > MOST_SOURCES else "")
    listings = [table(_part_columns("class"), classes, "By asset class", "states")]
    listings.append(table(_part_columns("source"), sources[:MOST_SOURCES], caption))
    return render("quality_parts", intro=intro, listings=listings)


def rule_name(rule: str) -> str:
    """Give a rule's name as the page shows it."""
    return "reason, whole" if rule == WHOLE else rule.replace("_", " ")


def _part(rows: pl.DataFrame, name: str) -> dict[str, Any]:
    """Counts of a part of the universe, and the shares of its dollar volume that are repaired and set aside."""
    found = counts(rows)
    traded = dict(rows.group_by("outcome").agg(pl.col("dollar_volume").sum()).iter_rows())
    total = sum(traded.values())
    lost = sum(traded.get(outcome, 0.0) for outcome in OUTCOMES if outcome not in USED)
    return {
        "name": name, **found, **_shares(found),
        "repaired_dollars": traded.get("repaired", 0.0) / total if total else None,
        "lost_dollars": lost / total if total else None,
    }  # fmt: skip


def _part_columns(title: str) -> list[Column]:
    columns = [Column(title, lambda r: r["name"]), _count("instruments"), _count("as_they_came", "as they came")]
    columns += [_count("repaired"), _count("rows_dropped", "rows dropped"), *(_count(name) for name in _LOST)]
    columns += [_count("bars"), _share("repaired_bars_share", "bars repaired")]
    return [*columns, _share("repaired_dollars", "$ volume repaired"), _share("lost_dollars", "$ volume set aside")]


def _count(name: str, title: str = "") -> Column:
    return Column(title or name, lambda r: integer(r[name]), lambda r: r[name])


def _share(name: str, title: str) -> Column:
    return Column(title, lambda r: percent(r[name]), lambda r: r[name])


def _shares(found: Mapping[str, Any]) -> dict[str, float | None]:
    """Share of the bars in use that are repaired, and of the instruments that were not used as they came."""
    bars, total = found["bars"], found["instruments"]
    return {
        "repaired_bars_share": round(found["repaired_bars"] / bars, 8) if bars else None,
        "affected_share": round(1 - found["as_they_came"] / total, 8) if total else None,
    }
