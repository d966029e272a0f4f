"""A refresh by the real command: after dividends, splits and corrections the store equals one made that day."""

import dataclasses
import datetime as dt
import json

import polars as pl
import pytest

from tests.hydration.live.hydration_case import SMALL, hydration
from tests.loopback.world import Operation, World
from tests.moment_case import OPEN

SIZE = dataclasses.replace(SMALL, symbols=40, faults=0.0, buckets=2, start="2024-01-01")
SCALED = ("universe.panel=5",)


def test_a_refresh_gives_the_store_that_a_hydration_from_scratch_gives(tmp_path):
    now, then = OPEN, OPEN - dt.timedelta(days=8)
    with hydration(SIZE, tmp_path) as case:
        world = World(SIZE.seed, SIZE.symbols, now)
        session = world.day("stock")
        quiet = [e for e in world.instruments.values() if e.kind in ("common", "etf") and not happens(world, e, then)]
        paying, splitting, both, corrected, gone, noted = (each.yahoo for each in quiet[:6])
        recent = then.date() - dt.timedelta(days=2)  # a Monday
        before = (
            Operation("dividend", noted, then.date() - dt.timedelta(days=200), 0.5),  # announced from the beginning
        )
        after = (
            Operation("dividend", paying, session, 1.1),
            Operation("split", splitting, session, 3.0),
            Operation("dividend", both, session, 0.7),
            Operation("split", both, session, 0.25),
            Operation("restate", corrected, recent, 1.05, recent),
            Operation("delist", gone, session),
        )
        case.loopback.ask("now", at=then.replace(tzinfo=None).isoformat())
        for each in before:
            case.loopback.ask("apply", as_json(each))
        done = case.run("refreshed", *SCALED)
        assert done.code == 0, done.error
        first = published(case, "refreshed")
        for each in after:
            case.loopback.ask("apply", as_json(each))
        case.loopback.ask("now", at=now.replace(tzinfo=None).isoformat())
        for store, insist in (("refreshed", ("retry=all",)), ("scratch", ())):
            done = case.run(store, *SCALED, *insist)
            assert done.code == 0, done.error
        log = (tmp_path / "refreshed" / "logs" / "hydrate.log").read_text(encoding="utf-8")

        refreshed = published(case, "refreshed")
        assert refreshed.filter(pl.col("symbol") != gone).equals(published(case, "scratch"))
        assert refreshed.filter(symbol=gone).equals(first.filter(symbol=gone))  # its data stay
        assert refreshed.filter(symbol=splitting)["close"][0] * 3 == pytest.approx(
            first.filter(symbol=splitting)["close"][0]
        )
        events = pl.concat([pl.read_parquet(path) for path in (case.bars("refreshed") / "raw").glob("e*.parquet")])
        assert {paying, both} <= set(events.filter(kind="dividend")["symbol"])
        for name, kind in ((paying, "dividend"), (splitting, "split"), (both, "split"), (corrected, "restated")):
            assert f"{name} {kind}: " in log, (name, kind)

        states = pl.read_parquet(case.data("refreshed") / "states" / "loop" / "hydrate.parquet")
        row = states.row(by_predicate=pl.col("symbol") == gone, named=True)
        assert row["state"] == "done" and "no longer served" in row["reason"]


def happens(world: World, instrument, since: dt.datetime) -> bool:
    """Whether the seed plans an event for an instrument after a day, or the instrument is too young."""
    days = [each.day.item() for each in world.series(instrument).events]
    return any(day >= since.date() for day in days) or len(world.series(instrument).days) < 500


def published(case, store: str) -> pl.DataFrame:
    """All published files."""
    return pl.concat([pl.read_parquet(path) for path in sorted(case.bars(store).glob("b*.parquet"))])


def as_json(operation: Operation) -> dict:
    """An operation as JSON."""
    tree = {key: value for key, value in dataclasses.asdict(operation).items() if value is not None}
    return json.loads(json.dumps(tree, default=str))
