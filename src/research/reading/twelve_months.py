"""A company's statements, filing after filing: figures as filed first, and flows of twelve months."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from src.research.reading.company_facts import CONCEPTS

_PLACES = {concept: place for place, concept in enumerate(CONCEPTS)}
_ANNUAL = ("10-K", "10-KT", "10-K405", "20-F", "40-F")
_QUARTERLY = ("10-Q", "10-QT")
_YEAR, _NEAR = 365, 25  # days; 52 and 53 weeks, and quarters that end on a weekday
_LONGEST_QUARTERS = 300  # days of a fiscal year to date
_LEVELS = tuple(_PLACES[name] for name in ("assets", "revenue", "cost", "gross_profit", "shares"))
_SHARES = _PLACES["shares"]
_AHEAD = 7  # days by which the end of a period may be after its filing: a later one is a slip of the pen
_KEPT = 4  # earlier values that a new one is compared with


class Figure(NamedTuple):
    """One figure of one filing; days are days since 1970."""

    known: int
    filed: int
    accession: str
    form: str
    concept: int
    rank: int
    start: int | None
    end: int
    value: float
    document: str
    backfilled: bool


class Statement(NamedTuple):
    """What a filing says of a company at the end of a period; None where it does not say."""

    known: int
    document: str
    backfilled: bool
    accession: str
    period: int
    annual: bool
    assets: float | None
    assets_before: float | None
    equity: float | None
    revenue: float | None
    gross_profit: float | None
    net_income: float | None
    operating_cash: float | None
    shares: float | None
    shares_before: float | None


@dataclass
class _Neighbours:
    """Last values of one concept, by which a value in another unit is recognised."""

    accepted: list[float] = field(default_factory=list)
    refused: float | None = None


class Company:
    """What is known of one company's figures, growing with time."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int], dict[tuple[int | None, int], Figure]] = {}
        self._neighbours: dict[tuple[int, bool], _Neighbours] = {}
        self._suspect: set[str] = set()
        self._rows: set[str] = set()
        self._shares: dict[int, float] = {}
        self.refused = 0

    def statements(self, figures: list[Figure]) -> Iterator[Statement]:
        """Go through a company's figures in the order in which they became known.

        Parameters
        ----------
        figures : list of Figure
            Of one company, sorted by known time.

        Yields
        ------
        Statement
            One for each annual or quarterly report, known with the first of its figures.
        """
        begin = 0
        while begin < len(figures):
            end = begin
            while end < len(figures) and figures[end].known == figures[begin].known:
                end += 1
            sound = [each for each in figures[begin:end] if each.end <= each.filed + _AHEAD]
            self.refused += end - begin - len(sound)
            batch = sorted(sound, key=lambda each: (each.filed, each.accession, each.end, each.start or 0))
            for filed in _by_filing(batch):
                self._add(filed)
                report = self._report(filed)
                if report is not None:
                    yield report
            begin = end

    def _add(self, filed: list[Figure]) -> None:
        """Take in the figures of one filing, levels first: they show whether its unit is another."""
        for figure in sorted(filed, key=lambda each: each.concept not in _LEVELS):
            if not self._in_unit(figure):
                self.refused += 1
                continue
            periods = self._first.setdefault((figure.concept, figure.rank), {})
            period = figure.start, figure.end
            before = periods.get(period)
            if before is None or (figure.filed, figure.accession) < (before.filed, before.accession):
                periods[period] = figure

    def _in_unit(self, figure: Figure) -> bool:
        """Whether a figure is of its neighbours' unit, and not in thousands or millions of it."""
        if figure.concept not in _LEVELS:
            return figure.accession not in self._suspect
        near = self._neighbours.setdefault((figure.concept, figure.start is None), _Neighbours())
        size = abs(figure.value)
        if size and near.accepted and _other_unit(size / statistics.median(near.accepted)):
            again = near.refused is not None and 1 / 3 < size / near.refused < 3
            if not again or figure.accession in self._suspect:
                near.refused = size
                self._suspect.add(figure.accession)
                return False
            near.accepted.clear()
        if size:
            near.accepted = [*near.accepted, size][-_KEPT:]
            near.refused = None
        return True

    def _report(self, filed: list[Figure]) -> Statement | None:
        """The row of a filing, once."""
        first = filed[0]
        form = first.form.strip()
        if form not in _ANNUAL + _QUARTERLY or first.accession in self._rows:
            return None
        ends = [each.end for each in filed if each.concept != _SHARES]
        if not ends:
            return None
        self._rows.add(first.accession)
        moments = [each.end for each in filed if each.start is None and each.concept != _SHARES]
        end = max(moments or ends)
        values = self._values(end, first.accession)
        if values["shares"] is not None:
            self._shares.setdefault(end, values["shares"])
        if all(value is None for value in values.values()):
            return None
        head = (first.known, first.document, first.backfilled, first.accession, end, form in _ANNUAL)
        return Statement(*head, *(values[name] for name in Statement._fields[len(head) :]))

    def _values(self, end: int, accession: str) -> dict[str, float | None]:
        revenue, cost = self._twelve("revenue", end), self._twelve("cost", end)
        gross = self._twelve("gross_profit", end)
        if gross is None and revenue is not None and cost is not None:
            gross = revenue - cost
        return {
            "assets": self._moment("assets", end, 0), "assets_before": self._moment("assets", end - _YEAR, _NEAR),
            "equity": self._moment("equity", end, 0), "revenue": revenue, "gross_profit": gross,
            "net_income": self._twelve("net_income", end), "operating_cash": self._twelve("operating_cash", end),
            "shares": self._outstanding(end, accession),
            "shares_before": _closest(self._shares, end - _YEAR, _NEAR),
        }  # fmt: skip

    def _moment(self, concept: str, end: int, near: int) -> float | None:
        """Value of a concept at a day, or near it."""
        for rank in range(len(CONCEPTS[concept])):
            periods = self._first.get((_PLACES[concept], rank), {})
            values = {day: figure.value for (start, day), figure in periods.items() if start is None}
            found = _closest(values, end, near)
            if found is not None:
                return found
        return None

    def _outstanding(self, end: int, accession: str) -> float | None:
        """Shares of the filing's cover page, else those of its balance sheet."""
        cover = [each for each in self._first.get((_SHARES, 0), {}).values() if each.accession == accession]
        if cover:
            return max(cover, key=lambda each: each.end).value
        sheet = self._first.get((_SHARES, 1), {}).get((None, end))
        return sheet.value if sheet else None

    def _twelve(self, concept: str, end: int) -> float | None:
        """Flow of the twelve months up to a day: as stated, or last fiscal year + this one so far - last one so far."""
        ranks = range(len(CONCEPTS[concept]))
        flows = [
            {(start, day): figure.value for (start, day), figure in periods.items() if start is not None}
            for periods in (self._first.get((_PLACES[concept], rank), {}) for rank in ranks)
        ]
        for periods in flows:
            for (start, day), value in periods.items():
                if day == end and abs(day - start - _YEAR) <= 15:
                    return value
        for periods in flows:
            begun = [start for start, day in periods if day == end and 60 <= day - start <= _LONGEST_QUARTERS]
            if begun:
                rest = _rest_of_last_year(flows, min(begun), end)
                if rest is not None:
                    return periods[min(begun), end] + rest
        return None


def _rest_of_last_year(flows: list[dict[tuple[int, int], float]], start: int, end: int) -> float | None:
    """Last fiscal year less its part up to the same day, both under one tag."""
    for periods in flows:
        years = {
            abs(start - 1 - day): value
            for (begun, day), value in periods.items()
            if abs(start - 1 - day) <= 7 and abs(day - begun - _YEAR) <= 15
        }
        parts = {
            abs(end - _YEAR - day) + abs(start - _YEAR - begun): value
            for (begun, day), value in periods.items()
            if abs(end - _YEAR - day) <= 15 and abs(start - _YEAR - begun) <= 15
        }
        if years and parts:
            return years[min(years)] - parts[min(parts)]
    return None


def _by_filing(figures: list[Figure]) -> Iterator[list[Figure]]:
    """Figures of each filing, in the order of filing."""
    filings: dict[str, list[Figure]] = {}
    for figure in figures:
        filings.setdefault(figure.accession, []).append(figure)
    yield from filings.values()


def _closest(values: dict[int, float], day: int, near: int) -> float | None:
    found = [each for each in values if abs(each - day) <= near]
    return values[min(found, key=lambda each: (abs(each - day), each))] if found else None


def _other_unit(ratio: float) -> bool:
    """Whether a ratio of neighbours says thousands or millions."""
    scale = max(ratio, 1 / ratio)
    return 400 < scale < 2_500 or 400_000 < scale < 2_500_000
