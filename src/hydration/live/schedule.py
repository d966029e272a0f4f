"""What to ask, of whom, from which date on: a pure function of the ledger, the clock and the settings."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from src.config.schema import LiveSource
from src.core.instruments import Key
from src.fetching.pool import FetchTask
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
    """How to decide what is due: settings of the source, chains, interval, the clock, and what the user insists on."""

    live: LiveSource
    chains: Mapping[str, Chain]
    interval: str
    now: dt.datetime  # UTC
    insist: bool = False  # named by only=, or retry=all, whole: asked though it is fresh
    retry_failed: bool = False
    whole: bool = False  # retry=whole, or fresh=true: asked from the beginning, not from the last bars on

    def tasks(
        self, instruments: list[SelectedInstrument], entries: Mapping[Key, dict[str, Any]]
    ) -> Iterator[FetchTask]:
        """The questions that are due: candidates for the panel first, then bucket by bucket, by symbol."""
        order = sorted(instruments, key=lambda each: (not each.early, each.bucket, each.key))
        for each in order:
            task = self.task(each, entries.get(each.key))
            if task is not None:
                yield task

    def task(self, instrument: SelectedInstrument, entry: dict[str, Any] | None) -> FetchTask | None:
        """The question about one instrument, None where nothing is due or nobody can be asked."""
        chain = self.chains.get(instrument.asset_class)
        if chain is None or not chain.providers or (entry is not None and not self._is_due(instrument, entry)):
            return None
        provider = str(entry["provider"]) if entry and entry["provider"] in chain.providers else chain.providers[0]
        if entry and entry["last"] and not self.whole and entry["provider"] in (provider, chain.archive):
            return self.refresh(instrument, entry, provider)
        return self.question(instrument, provider)

    def refresh(self, instrument: SelectedInstrument, entry: dict[str, Any], provider: str) -> FetchTask:
        """Ask for an instrument's last bars, of whoever served them or of an archive, and what came after."""
        bars = self.live.overlap_bars if self.interval == "1d" else max(1, self.live.overlap_bars // 6)
        days = round(bars * _DAYS_A_BAR[instrument.asset_class]) + _SLACK_DAYS
        return self.question(instrument, provider, _day(entry["last"]) - dt.timedelta(days=days))

    @property
    def beginning(self) -> dt.date:
        """First date wanted of anything."""
        return dt.date.fromisoformat(self.live.start)

    def question(self, instrument: SelectedInstrument, provider: str, start: dt.date | None = None) -> FetchTask:
        """Ask `provider` for the bars from `start` on; None asks for all that the source begins with."""
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
        """When a failed instrument is due again: hours that double with each try; a month where it is not known."""
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
        """Whether the last session was asked for soon after its end and was not there yet: once more, hours later."""
        last, checked = sessions.last_complete(kind, self.interval, self.now), entry["checked"]
        before = sessions.last_complete(kind, self.interval, checked - _PUBLISHING)
        return bool(entry["last"] and entry["last"] < last and before < last and self.now - checked >= _PUBLISHING)


def _day(moment: dt.date | dt.datetime) -> dt.date:
    return moment.date() if isinstance(moment, dt.datetime) else moment
