"""What the monitor reads: the journal, the champions of today, the runs behind them, and what came of each decision."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.config.commands import command
from src.core.errors import StageError
from src.core.instruments import KEY, POOLED
from src.market.bars import BARS_PER_YEAR, BarStore, bucket
from src.market.calendar import sessions
from src.market.restoring import restoring
from src.monitoring.book_record import book_days, book_record, days_per_year
from src.monitoring.coverage import coverage
from src.monitoring.live_record import TrackRecord, instrument_records
from src.monitoring.outcomes import CHAMPION, DECISION, LINES, instrument_outcomes
from src.monitoring.pooled_outcomes import DAY, PooledOutcomes, pooled_outcomes
from src.signals.journal import Journal
from src.signals.recorded_runs import ChampionRun, recorded_runs
from src.tracking.crowned_versions import CrownedVersion

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths

GRADE = ("auc", "sharpe", "n_oos", "max_drawdown", "accuracy")
_SHARED = ("name", "version", "scope", "record_id", *DECISION, "timing", "late", "judged", "restated", "net")
AT_A_TIME = 1000
"""Champions whose decisions are in memory at a time, more or less: whole buckets of bars."""
Champion = tuple[str, int]
_SESSION: dict[str, Any] = {"asset_class": pl.String, "symbol": pl.String, "decided_on": pl.Datetime("us")}
_NONE = np.empty(0)
NO_DAYS = TrackRecord(
    np.empty(0, dtype="datetime64[us]"), _NONE, _NONE, _NONE, _NONE, np.empty(0, dtype=np.bool_), 252.0
)
"""Record of a champion whose first return is not complete yet."""


@dataclass(frozen=True)
class Gathered:
    """The journal beside what came of it.

    Attributes
    ----------
    today : date
        Of the newest bar.
    champions : DataFrame
        One row a champion that the journal knows or that is one now, sorted: name, version, scope, family, record_id,
        standing, and the columns of `src.monitoring.coverage.COVERAGE`.
    records : dict
        Track record by name and version.
    runs : dict
        Runs behind the champions, by record id; those that the stores have.
    grades : dict
        Figures of each run as the journal or the registry has them, by record id.
    crowned : dict
        Present champions by name and version.
    book : TrackRecord or None
        Of the netted book; None without a complete day.
    """

    today: dt.date
    champions: pl.DataFrame
    records: dict[Champion, TrackRecord]
    runs: dict[str, ChampionRun]
    grades: dict[str, dict[str, Any]]
    crowned: dict[Champion, CrownedVersion]
    book: TrackRecord | None = None

    def track(self, champion: Champion) -> TrackRecord:
        """Record of a champion; of no days where the journal has none of it."""
        return self.records.get(champion, NO_DAYS)


def gathered(paths: DatasetPaths, crowned: list[CrownedVersion]) -> Gathered:
    """Read the journal of a dataset and look up what came of it.

    Parameters
    ----------
    paths : DatasetPaths
    crowned : list of CrownedVersion
        The champions of today.

    Returns
    -------
    Gathered

    Raises
    ------
    StageError
        If there is no journal or it is broken, or no bars.
    """
    journal = Journal.of(paths)
    journal.bring_up_to_date()
    if not journal.entries():
        raise StageError(
            f"the journal of {paths.dataset} is empty, so there is nothing to compare: run "
            f"`{command('predict', stored=paths.dataset)}`, which says a book"
        )
    store = BarStore(paths.bars)
    if not store.exists():
        raise StageError(f"{paths.dataset} has no bars, so nothing is known of what came: {restoring(paths.bars)}")
    lines = journal.lines(columns=[*LINES, *GRADE])
    present = {(each.name, each.version): each for each in crowned}
    runs = recorded_runs(paths, {*lines["record_id"].unique().drop_nulls(), *(each.record_id for each in crowned)})
    newest, champions = _newest(store), _champions(lines, present)
    ends, counts = _ends(lines, champions), []
    records: dict[Champion, TrackRecord] = {}
    for own in _parts(lines, store):
        said = own.filter(pl.col("state") == "said").select(LINES)
        single = instrument_outcomes(said, runs, store)
        records |= dict(instrument_records(single.decisions))
        counts.append(coverage(own, single.decisions.select(_SHARED), single.tradable, ends, newest))
    pooled_lines = lines.filter(pl.col("scope") == POOLED)
    pooled = pooled_outcomes(pooled_lines.filter(pl.col("state") == "said").select(LINES), runs, paths)
    if pooled_lines.height:
        days = pl.concat([pl.DataFrame(schema=DAY), *(each.days for each in pooled.values())]).select(_SHARED)
        tradable = pl.concat([pl.DataFrame(schema=_SESSION), *_sessions(pooled, newest)])
        counts.append(coverage(pooled_lines, days, tradable, ends, newest))
    table = champions.join(pl.concat(counts), on=CHAMPION, how="left") if counts else champions
    return Gathered(
        today=max(newest.values()),
        champions=table.with_columns(pl.col(pl.Int64).fill_null(0)).sort(CHAMPION),
        records=records | {key: _record(each) for key, each in pooled.items()},
        runs=runs,
        grades=_grades(lines) | {each.record_id: dict(each.grade) for each in crowned if each.grade},
        crowned=present,
        book=_book(journal, store),
    )


def _parts(lines: pl.DataFrame, store: BarStore) -> Iterator[pl.DataFrame]:
    """Yield the lines of champions of single instruments, those of a few buckets of bars at a time."""
    single = lines.filter(pl.col("scope") != POOLED)
    names = single.group_by("name").agg(pl.col("asset_class", "symbol").drop_nulls().first())
    count = store.manifest.buckets
    place = [bucket(key[0] or "", key[1] or "", count) for key in names.select(KEY).iter_rows()]
    placed = names.with_columns(_bucket=pl.Series(place, dtype=pl.Int64)).sort("_bucket", "name")
    group, at = np.cumsum(np.diff(placed["_bucket"], prepend=-1) > 0), np.arange(placed.height) // AT_A_TIME
    first = pl.DataFrame({"_group": group, "_at": at}).group_by("_group").agg(pl.col("_at").min())
    parts = placed.with_columns(_group=pl.Series(group)).join(first, on="_group", how="left")
    for (_,), part in parts.group_by("_at", maintain_order=True):
        yield single.join(part.select("name"), on="name", how="semi")


def _book(journal: Journal, store: BarStore) -> TrackRecord | None:
    books = journal.books()
    days = book_days(books, store)
    return book_record(days, bars_per_year=days_per_year(books)) if days.height else None


def _champions(lines: pl.DataFrame, present: Mapping[Champion, CrownedVersion]) -> pl.DataFrame:
    """One row a champion: what it is, and whether it still is one."""
    known = lines.group_by(CHAMPION).agg(pl.col("scope", "record_id").drop_nulls().first())
    schema = {"name": pl.String, "version": pl.Int64, "scope": pl.String, "record_id": pl.String}
    rows = [
        (*key, POOLED if key[0].lower().startswith(f"{POOLED}.") else "instrument", each.record_id)
        for key, each in present.items()
    ]
    silent = pl.DataFrame(rows, schema=schema, orient="row").join(known, on=CHAMPION, how="anti")
    table = pl.concat([known.select(list(schema)), silent])
    names = {name for name, _ in present}
    standing = [
        "champion" if (name, version) in present else "replaced" if name in names else "withdrawn"
        for name, version in table.select(CHAMPION).iter_rows()
    ]
    return table.with_columns(pl.Series("standing", standing, dtype=pl.String)).sort(CHAMPION)


def _ends(lines: pl.DataFrame, champions: pl.DataFrame) -> pl.DataFrame:
    """Day up to which each champion should decide: of a former one its last book."""
    last = lines.group_by(CHAMPION).agg(pl.col("book_date").max().alias("_last"))
    joined = champions.join(last, on=CHAMPION, how="left")
    return joined.select(*CHAMPION, pl.when(pl.col("standing") != "champion").then(pl.col("_last")).alias("end"))


def _newest(store: BarStore) -> dict[str, dt.date]:
    last = store.instruments().group_by("asset_class").agg(pl.col("last").max()).drop_nulls()
    if not last.height:
        raise StageError(f"{store.root.name} has no bar, so nothing is known of what came: {restoring(store.root)}")
    return dict(last.iter_rows())


def _sessions(pooled: Mapping[Champion, PooledOutcomes], newest: Mapping[str, dt.date]) -> Iterator[pl.DataFrame]:
    """Sessions on which each pooled champion should have decided, under its name."""
    for (name, _), found in pooled.items():
        asset_class, first = found.days.item(0, "asset_class"), found.days.item(0, "decided_on").date()
        days = sessions(asset_class, first, newest.get(asset_class, first))
        keys = [
            pl.lit(asset_class, dtype=pl.String).alias("asset_class"),
            pl.lit(name, dtype=pl.String).alias("symbol"),
        ]
        yield pl.DataFrame({"decided_on": pl.Series(days).cast(pl.Datetime("us"))}).select(*keys, "decided_on")


def _record(found: PooledOutcomes) -> TrackRecord:
    complete = found.days.filter(pl.col("net").is_not_null())
    series = {name: complete[name].to_numpy() for name in ("gross", "cost", "net", "turnover")}
    return TrackRecord(
        dates=complete["decided_on"].to_numpy(),
        live=(complete["timing"] == "live").to_numpy(),
        bars_per_year=float(BARS_PER_YEAR[found.days.item(0, "asset_class")]),
        label=found.label,
        score=found.score,
        scored_live=np.asarray(found.live),
        **series,
    )


def _grades(lines: pl.DataFrame) -> dict[str, dict[str, Any]]:
    figures = lines.group_by("record_id").agg(pl.col(GRADE).drop_nulls().last()).drop_nulls("record_id")
    return {row.pop("record_id"): row for row in figures.iter_rows(named=True)}
