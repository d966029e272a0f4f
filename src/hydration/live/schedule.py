"""Which provider to ask for what, from which date on: a pure function of the ledger, the clock and the settings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from src.config.schema import LiveSource
from src.core.instruments import Key
from src.fetching.fetch_task import BarTask, FetchTask
from src.fetching.provider import BarRequest
from src.hydration.live import sessions
from src.hydration.live.provider_chain import Chain
from src.sources import registry

_DAYS_A_BAR = {"stock": 1.5, "etf": 1.5, "crypto": 1.0}  # calendar days, weekends and holidays included
_SLACK_DAYS = 4  # a long weekend
_PUBLISHING = dt.timedelta(hours=3)  # in which a provider puts up the session's bar
_FIRST = 1_000_000  # buckets that candidates for the panel go ahead of
_MAX_WAIT_DAYS = 30.0  # between attempts at what failed again and again, or is not known


@dataclass(frozen=True)
class SelectedInstrument:
    """One instrument of the selection and where its bars are kept."""

    asset_class: str
    symbol: str
    bucket: int
    early: bool = False  # a candidate for the pinned panel: asked before the others
    moved: bool = False  # listed in another class by now: kept with its bars, and not asked for

    @property
    def key(self) -> Key:
        """(asset_class, symbol)."""
        return self.asset_class, self.symbol


@dataclass(frozen=True)
class Schedule:
    """Decides which questions are due.

    Attributes
    ----------
    live : LiveSource
        Settings of the live source.
    chains : mapping
        Chain of providers by asset class.
    interval : str
        Of the bars.
    now : datetime
        In UTC.
    insist : bool
        Ask also for what is fresh: it was named by ``only=``, or ``retry=all`` or ``whole``.
    retry_failed : bool
        Ask also for what failed and is not due again yet.
    whole : bool
        Ask from the beginning instead of from the last bars on: ``retry=whole`` or ``fresh=true``.
    """

    live: LiveSource
    chains: Mapping[str, Chain]
    interval: str
    now: dt.datetime
    insist: bool = False
    retry_failed: bool = False
    whole: bool = False

    def tasks(self, instruments: list[SelectedInstrument], entries: Mapping[Key, dict[str, Any]]) -> Iterator[BarTask]:
        """Yield the questions that are due.

        Parameters
        ----------
        instruments : list of SelectedInstrument
            Those that may be asked for.
        entries : mapping
            Rows of the ledger by (asset_class, symbol).

        Yields
        ------
        BarTask
            Candidates for the panel first, then bucket by bucket, by symbol.
        """
        order = sorted(instruments, key=lambda each: (not each.early, each.bucket, each.key))
        for each in order:
            task = self.task(each, entries.get(each.key))
            if task is not None:
                yield task

    def task(self, instrument: SelectedInstrument, entry: dict[str, Any] | None) -> BarTask | None:
        """The question about one instrument.

        Parameters
        ----------
        instrument : SelectedInstrument
            The instrument.
        entry : dict or None
            Its row of the ledger.

        Returns
        -------
        BarTask or None
            None if nothing is due or no provider can be asked.
        """
        chain = self.chains.get(instrument.asset_class)
        if chain is None or not chain.providers or (entry is not None and not self._is_due(instrument, entry)):
            return None
        provider = str(entry["provider"]) if entry and entry["provider"] in chain.providers else chain.providers[0]
        if entry and entry["last"] and not self.whole and entry["provider"] in (provider, chain.archive):
            return self.refresh(instrument, entry, provider)
        return self.question(instrument, provider)

    def refresh(self, instrument: SelectedInstrument, entry: dict[str, Any], provider: str) -> BarTask:
        """The question for an instrument's last stored bars and what came after them.

        Parameters
        ----------
        instrument : SelectedInstrument
            The instrument.
        entry : dict
            Its row of the ledger, with a last bar.
        provider : str
            Link of the chain that is asked.

        Returns
        -------
        BarTask
            It starts ``source.live.overlap_bars`` bars before the last one.
        """
        bars = self.live.overlap_bars if self.interval == "1d" else max(1, self.live.overlap_bars // 6)
        days = round(bars * _DAYS_A_BAR[instrument.asset_class]) + _SLACK_DAYS
        return self.question(instrument, provider, _day(entry["last"]) - dt.timedelta(days=days))

    @property
    def beginning(self) -> dt.date:
        """First date that is ever asked for, ``source.live.start``."""
        return dt.date.fromisoformat(self.live.start)

    def question(self, instrument: SelectedInstrument, provider: str, start: dt.date | None = None) -> BarTask:
        """The question for an instrument's bars from a date on.

        Parameters
        ----------
        instrument : SelectedInstrument
            The instrument.
        provider : str
            Link of the chain that is asked.
        start : date, optional
            First date wanted; without it, the `beginning`.

        Returns
        -------
        BarTask
            Candidates for the panel go ahead of all other tasks.
        """
        first = self.beginning
        wanted = BarRequest(
            instrument.asset_class,
            instrument.symbol,
            max(first, start) if start else first,
            self.interval,
            registry.provider(provider).names.get(instrument.symbol, ""),
        )
        return FetchTask(provider, wanted, instrument.bucket - _FIRST * instrument.early)

    def next_attempt(self, tries: int, unknown: bool) -> dt.datetime:
        """When a failed instrument is due again.

        Parameters
        ----------
        tries : int
            Failed tries so far; the wait doubles with each, up to 30 days.
        unknown : bool
            The provider does not know the instrument, or can't serve it: wait 30 days at once.

        Returns
        -------
        datetime
            In UTC.
        """
        hours = _MAX_WAIT_DAYS * 24 if unknown else self.live.retry_hours * 2.0 ** min(tries, 20)
        return self.now + dt.timedelta(hours=min(hours, _MAX_WAIT_DAYS * 24))

    def _is_due(self, instrument: SelectedInstrument, entry: dict[str, Any]) -> bool:
        if self.insist:
            return True
        if entry["state"] != "fetched":
            return self.retry_failed or entry["next_attempt"] is None or self.now >= entry["next_attempt"]
        checked = entry["checked"]
        return (
            checked is None
            or sessions.due(checked, instrument.asset_class, self.interval, self.now)
            or self._came_early(instrument.asset_class, entry)
        )

    def _came_early(self, kind: str, entry: dict[str, Any]) -> bool:
        """Whether the last session was asked for soon after its end and was missing: then it is due once more."""
        last, checked = sessions.last_complete(kind, self.interval, self.now), entry["checked"]
        before = sessions.last_complete(kind, self.interval, checked - _PUBLISHING)
        return bool(entry["last"] and entry["last"] < last and before < last and self.now - checked >= _PUBLISHING)


def _day(moment: dt.date | dt.datetime) -> dt.date:
    return moment.date() if isinstance(moment, dt.datetime) else moment
