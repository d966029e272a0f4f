"""The tear sheet of a passing run, a champion or a portfolio: its page, and the tables behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.core.errors import ConfigError, StageError
from src.core.instruments import POOLED
from src.inspection.reading.names import Symbol, instrument
from src.inspection.reading.places import Folder, Place, place

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from src.reporting.tear_sheets.sheet import TearSheet


@dataclass(frozen=True)
class SheetOfRun:
    """A tear sheet as a reader has it.

    Attributes
    ----------
    path : Path or None
        The HTML page that the report wrote; None where it wrote none yet.
    sheet : TearSheet
        Its figures, as attributes; see `src.reporting.tear_sheets.sheet.TearSheet`.
    """

    path: Path | None
    sheet: TearSheet

    @property
    def frames(self) -> dict[str, pl.DataFrame]:
        """Its tables by name: days, drawdowns, months, years, folds, trades and the others that have rows."""
        import polars as pl

        found = {name: value for name, value in vars(self.sheet).items() if isinstance(value, pl.DataFrame)}
        return {name: table for name, table in found.items() if table.height}

    def __repr__(self) -> str:
        where = "no page yet" if self.path is None else self.path.as_posix()
        return f"<tear sheet of {self.sheet.registered_name} by {self.sheet.family}: {where}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: a link to the page."""
        from xml.etree import ElementTree as Tree

        title = f"Tear sheet of {self.sheet.registered_name} by {self.sheet.family}"
        shown = Tree.Element("p")
        if self.path is None:
            shown.text = f"{title}: the report writes its page"
        else:
            Tree.SubElement(shown, "a", {"href": self.path.as_uri(), "target": "_blank"}).text = title
        return Tree.tostring(shown, encoding="unicode")


def tear_sheet(
    universe: str | None = None, symbol: Symbol | None = None, family: str | None = None, *, root: Folder = None
) -> SheetOfRun:
    """Get the tear sheet of a run that passed, of a champion, or of a portfolio.

    Parameters
    ----------
    universe, root
        As `grades` takes them.
    symbol : str or (asset_class, symbol)
        ``AAPL``, ``stock.AAPL``, or a portfolio such as ``pooled.stock.neutral``.
    family : str, optional
        Model family; it may be left out where one run has a sheet.

    Returns
    -------
    SheetOfRun
        ``path`` of the page, ``sheet`` with its figures, ``frames`` with its tables. A notebook shows a link.

    Raises
    ------
    ConfigError
        If no such run has a sheet, or several have: the message names them.
    StageError
        If its predictions do not give its grade any more.

    Examples
    --------
    >>> results.tear_sheet("demo", "SIM01", "catboost").frames["drawdowns"]  # doctest: +SKIP
    """
    from src.reporting.tear_sheets.plan import sheets_folder
    from src.reporting.tear_sheets.reading import read_sheets, runs_with_sheets

    at = place(universe, root)
    row = _chosen(at, runs_with_sheets(at.paths), symbol, family)
    sheets = list(read_sheets(at.paths, [row["record_id"]]))
    if not sheets:
        again = at.command("train")
        raise StageError(f"{row['symbol']} {row['family']}: its predictions do not give its grade: run `{again}`")
    page = sheets_folder(at.paths) / row["sheet"]
    return SheetOfRun(page if page.is_file() else None, sheets[0])


def _chosen(at: Place, runs: pl.DataFrame, symbol: Symbol | None, family: str | None) -> dict[str, str]:
    """The one run that is meant."""
    import polars as pl

    if isinstance(symbol, str) and symbol.startswith(f"{POOLED}."):
        key = (POOLED, symbol.removeprefix(f"{POOLED}."))
    else:
        key = instrument(at, symbol)
    own = runs.filter((pl.col("asset_class") == key[0]) & (pl.col("symbol") == key[1]))
    found = own if family is None else own.filter(pl.col("family") == family)
    if found.height == 1:
        return found.row(0, named=True)
    name, there = ".".join(key), ", ".join(own["family"].sort())
    if found.height > 1:
        raise ConfigError(f"{name} has {found.height} sheets: name the family, one of {there}")
    others = f": it has those of {there}" if there else ", which passes, champions and portfolios have"
    raise ConfigError(f"{name}{f' by {family}' if family else ''} has no tear sheet{others}")
