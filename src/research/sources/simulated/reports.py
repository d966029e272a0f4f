"""Annual and quarterly reports of simulated companies, their figures, and the 8-K of each announcement."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.documents.document import Document
from src.research.sources.simulated.company import SimulatedCompany, cik, name
from src.research.sources.simulated.news import vocabulary

_ANNOUNCED, _FILED = 25, 38  # days after the quarter, on average
_WORDS = 300  # of a report
_KEPT = 0.97  # share of a report's words that the next one repeats
_FLOWS = {
    "Revenues": 1.0,
    "CostOfRevenue": 0.6,
    "NetIncomeLoss": 0.08,
    "NetCashProvidedByUsedInOperatingActivities": 0.11,
}


def filings(world: SimulatedCompany, closes: NDArray[np.float64], last: dt.datetime) -> Iterator[Document]:
    """Generate the reports of one company: figures grow by chance, and their text changes a little each time.

    Parameters
    ----------
    world : SimulatedCompany
    closes : float64, shape (n,)
        Prices, which decide how large the company is.
    last : datetime
        Figures that are filed later are left out.

    Yields
    ------
    Document
        Kinds ``10-K``, ``10-Q``, ``8-K`` and ``companyfacts``.
    """
    random = world.random("reports")
    neutral = vocabulary()[2]
    words = [str(word) for word in random.choice(neutral, _WORDS)]
    facts = _Figures(random, float(closes[0]))
    for quarter in _quarters(world):
        end = (quarter + 1).astype("datetime64[D]") - 1
        late = int(random.integers(0, 12))
        kind = "10-K" if quarter.astype(int) % 12 == 11 else "10-Q"
        announced, filed = _evening(world, end, _ANNOUNCED + late), _evening(world, end, _FILED + late)
        replaced = random.random(_WORDS) > _KEPT
        fresh = random.choice(neutral, _WORDS)
        words = [str(fresh[i]) if replaced[i] else word for i, word in enumerate(words)]
        if announced is not None:
            yield _filing(world, "8-K", announced, end, f"<p>Results of {quarter}.</p>", {"items": ["2.02", "9.01"]})
        if filed is not None:
            yield _filing(world, kind, filed, end, f"<html><body><p>{' '.join(words)}</p></body></html>", {})
            facts.file(kind, end, filed, add=filed <= last)
    yield Document(
        "simulated", f"companyfacts/CIK{cik(world.symbol):010d}", "companyfacts", world.seen,
        json.dumps(facts.written(cik(world.symbol), name(world.symbol))).encode(), "filings", world.entity,
    )  # fmt: skip


def _quarters(world: SimulatedCompany) -> list[np.datetime64]:
    """Last month of each quarter that ends within the stock's history."""
    months = np.arange(world.dates[0].astype("datetime64[M]"), world.dates[-1].astype("datetime64[M]") + 1)
    return [month for month in months if month.astype(int) % 3 == 2]


def _evening(world: SimulatedCompany, end: np.datetime64, days: int) -> dt.datetime | None:
    """Twenty minutes after the close of the first session that number of days later; None beyond the history."""
    at = int(np.searchsorted(world.dates, end + days))
    return world.closes[at] + dt.timedelta(minutes=20) if at < len(world.dates) else None


def _filing(
    world: SimulatedCompany, kind: str, accepted: dt.datetime, end: np.datetime64, body: str, fields: dict[str, Any]
) -> Document:
    number = cik(world.symbol)
    accession = f"{number:010d}-{accepted:%y}-{accepted:%j}{len(kind):03d}"
    event = dt.datetime.fromisoformat(str(end)).replace(tzinfo=dt.UTC)
    return Document(
        "simulated", accession, kind, world.seen, body.encode(), "filings", world.entity,
        f"{name(world.symbol)}: {kind}", event=event, accepted=accepted, fields={"period": str(end), **fields},
    )  # fmt: skip


class _Figures:
    """Figures of one company as the SEC's companyfacts hold them, quarter after quarter."""

    def __init__(self, random: np.random.Generator, price: float) -> None:
        self._random = random
        self._shares = float(np.round(np.exp(random.normal(18, 0.7))))
        self._sales = price * self._shares * 0.12
        self._assets = self._sales * 5
        self._year: dict[str, float] = {}
        self._units: dict[str, dict[str, dict[str, list[dict[str, Any]]]]] = {"us-gaap": {}, "dei": {}}

    def file(self, form: str, end: np.datetime64, filed: dt.datetime, *, add: bool) -> None:
        """Add the figures of one report: of the fiscal year so far, and at the end of the period."""
        random, day = self._random, str(end)
        self._sales *= float(np.exp(random.normal(0.01, 0.04)))
        self._assets *= float(np.exp(random.normal(0.01, 0.02)))
        self._shares *= float(np.exp(random.normal(0.0, 0.005)))
        year = f"{day[:4]}-01-01"
        if day[5:7] == "03":
            self._year = {}
        entry = {"end": day, "form": form, "filed": f"{filed:%Y-%m-%d}", "accn": f"{filed:%Y%m%d}", "fy": int(day[:4])}
        for tag, share in _FLOWS.items():
            amount = self._sales * share * float(np.exp(random.normal(0, 0.05)))
            self._year[tag] = self._year.get(tag, 0.0) + amount
        if not add:
            return
        for tag in _FLOWS:
            self._add("us-gaap", tag, "USD", entry | {"start": year, "val": round(self._year[tag])})
        self._add("us-gaap", "Assets", "USD", entry | {"val": round(self._assets)})
        self._add("us-gaap", "StockholdersEquity", "USD", entry | {"val": round(self._assets * 0.45)})
        self._add("dei", "EntityCommonStockSharesOutstanding", "shares", entry | {"val": round(self._shares)})

    def written(self, number: int, company: str) -> dict[str, Any]:
        """Return the document, in the form of the SEC's companyfacts."""
        facts = {
            taxonomy: {tag: {"label": tag, "units": units} for tag, units in tags.items()}
            for taxonomy, tags in self._units.items()
        }
        return {"cik": number, "entityName": company, "facts": facts}

    def _add(self, taxonomy: str, tag: str, unit: str, entry: dict[str, Any]) -> None:
        self._units[taxonomy].setdefault(tag, {}).setdefault(unit, []).append(entry)
