"""Reference of all declared features as Markdown: ``python -m src.features.reference`` writes docs/features.md."""

from __future__ import annotations

from src.core.project import ROOT
from src.features.catalog import declared, families, needs_panel
from src.features.registry import GROUPS, Feature
from src.storage.atomic import write_text

PATH = ROOT / "docs" / "features.md"
HEAD = """# Features

{count} columns, {technical} technical, {behavioral} behavioral and {research} of research, generated from their
declarations in `src/features/` (`python -m src.features.reference`). Each declaration is a function; its column, its
warm-up, its tests and this page follow from it.

**Prices** are total-return (dividends included), so a return is what a holder earned; C, O, H, L, V are close, open,
high, low and volume, and n is the number that ends the name. **Window** is the number of bars, the row's own included,
that a value needs: earlier rows are null, and the last `window` bars alone give the value, exactly for most columns and
to 1% of the column's standard deviation for recursive ones (marked ~). **Market** columns (marked m) also look at the
pinned panel of the instrument's asset class. Prices or volumes times seven change nothing but columns of price scale
(marked $), which no set holds unless it names them. Columns marked i need bars shorter than a day (`interval=1h`) and
are left out of daily datasets. A value that is undefined (nothing traded, no range, no panel) is null. Sources give
volume:first page.

**Research** columns look at facts derived from documents and option chains, as they were known at the bar's close: what
became known later counts from the next bar on. Where no document says whether there was anything, the value is null;
where the documents are complete and hold nothing, a flow is 0. Prices, USD and shares in another unit change nothing.

Choose columns by `features=all` (technical and behavioral), `features=all+research`, `features=technical`,
`features=behavioral`, `features=research`, or by family and name:
`features.families=[trend,crowd]`, `features.names=[rsi_14]`, `features.exclude=[calendar]`. Indicators of pandas-ta
and TA-Lib by name, and a Python file of your own: [training guide](training-guide.md#features-of-your-own).
"""


def page() -> str:
    """Return the whole page."""
    every = list(declared().values())
    groups = [sum(item.group == group for item in every) for group in GROUPS]
    parts = [HEAD.format(count=len(every), **dict(zip(GROUPS, groups, strict=True)))]
    for family in families().values():
        rows = [_row(item) for item in every if item.family == family.name]
        title = f"\n## {family.name} ({family.group}, {len(rows)})\n\n"
        parts.append(title + "| column | formula | window | source |\n|---|---|---|---|\n" + "".join(rows))
    return "".join(parts)


def _row(item: Feature) -> str:
    holds_by_mark = {"~": item.tolerance, "m": needs_panel(item), "$": item.scale == "price", "i": item.intraday}
    marks = "".join(mark for mark, holds in holds_by_mark.items() if holds)
    formula = item.doc.replace("|", "\\|")
    return f"| `{item.name}` | {formula} | {item.window}{' ' + marks if marks else ''} | {item.source} |\n"


if __name__ == "__main__":
    write_text(page(), PATH)
