"""Sections of the schema for what happens day to day: promotion, book, monitor, and the daily command."""

from __future__ import annotations

from dataclasses import dataclass, field

from src.core.field_rules import named, one_of, ranged


@dataclass
class Demands:
    """Evidence that a champion must show beyond the four thresholds; null demands nothing."""

    max_q: float | None = ranged(None, low=0, high=1)  # of its q-value, over all that the session graded
    min_deflated_sharpe: float | None = ranged(None, low=0, high=1)  # of the active return
    max_luck: float | None = ranged(None, low=0, high=1)  # share of shifts without skill that pass
    min_oos: int | None = ranged(None, low=1, high=100_000, unit="bars")  # out-of-sample bars


@dataclass
class PromotionConfig:
    """What `promote` demands of a version before it becomes champion."""

    name: str = named("evidence")
    instruments: Demands = field(default_factory=Demands)
    portfolios: Demands = field(default_factory=Demands)


@dataclass
class BookConfig:
    """How the champions' decisions become one netted book, and the book becomes orders."""

    name: str = named("default")
    capital: float = ranged(100_000.0, low=0, high=1e15, above=True)  # that a weight of 1 stands for
    # Of the capital, to pooled portfolios where there are champions of both scopes; champions of a scope share equally.
    pooled_share: float = ranged(0.5, low=0, high=1)
    max_weight: float = ranged(0.10, low=0, high=1, above=True)  # of one instrument, absolute
    max_class_weight: dict[str, float] = ranged({"stock": 2.0, "etf": 2.0, "crypto": 0.25}, low=0, high=20)
    max_gross: float = ranged(2.0, low=0, high=20, above=True)  # sum of absolute weights
    max_turnover: float = ranged(1.0, low=0, high=40, above=True)  # a day, sum of absolute changes
    max_bar_age: int = ranged(0, low=0, high=260, unit="sessions")  # between a bar and the date of the book
    holdings: str | None = None  # CSV of what is held: symbol, shares, asset_class, price, a row CASH; null: nothing is
    min_trade: float = ranged(100.0, low=0, high=1e12)  # least value of an order, in the bars' currency
    lots: dict[str, float] = ranged({"stock": 1.0, "etf": 1.0, "crypto": 0.0001}, low=0, high=1e9, above=True)
    # Folder on a network share through which several machines share one journal; null: this machine alone.
    shared_journal: str | None = None
    orders_format: str = one_of("plain", ("plain", "ibkr"))  # ibkr: also as its BasketTrader imports them
    benchmark: str = "etf:SPY"  # beside the book's record; where the dataset lacks it, the mean of the class


@dataclass
class MonitorConfig:
    """When a champion, or the book, is no longer what its out-of-sample record says."""

    name: str = named("default")
    action: str = one_of("flag", ("flag", "demote"))
    false_alarms: float = ranged(0.05, low=0, high=1, above=True)  # a year of daily looks, for each champion
    book_false_alarms: float = ranged(0.05, low=0, high=1, above=True)  # a year, for the book and for all champions
    band: float = ranged(0.9, low=0, high=1, above=True)  # probability that the bands hold
    draws: int = ranged(2000, low=100, high=1_000_000, unit="draws")  # of the block bootstrap
    block: int = ranged(20, low=1, high=1000, unit="bars")  # mean length of its blocks
    min_days: int = ranged(20, low=2, high=10_000, unit="days")  # before anything is said of returns
    drift_window: int = ranged(60, low=5, high=10_000, unit="days")
    drift_alarms: float = ranged(0.05, low=0, high=1, above=True)  # a year, for the drift of a champion's features
    max_late: int = ranged(3, low=0, high=1000, unit="sessions")  # without a signal before a champion is flagged


@dataclass
class DailyConfig:
    """What `daily` waits for, tells, and refits."""

    name: str = named("default")
    wait: bool = True  # for the close of a session that is due today; false begins at once
    delay_minutes: float = ranged(60.0, low=0, high=10_000, unit="minutes")  # after the close, before bars are fetched
    patience_hours: float = ranged(12.0, low=0, high=1000, unit="hours")  # for the bars of the session
    # For documents of research; what is due then waits for the next day.
    research_minutes: float = ranged(30.0, low=0, high=10_000, unit="minutes", above=True)
    notify: str = one_of("changes", ("always", "changes", "failures", "never"))
    heartbeat_hours: float = ranged(30.0, low=1, high=10_000, unit="hours")  # without a run before `status` says so
