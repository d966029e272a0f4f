"""EDGAR collected by the command itself, killed at 20 of its writes, and at the SEC's own pace: ``make soak``."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path

import polars as pl
import pytest

from src.documents.document_store import DocumentStore
from tests.loopback.edgar import NEW_YORK, Edgar
from tests.research.site_case import Site, site
from tests.soak import faulted_command
from tests.soak.fault_points import KILLED, Faults

COMPANIES, KILLS, RATE = 6, 20, 200.0
PRELOAD = "tests.soak.preloaded"
SYMBOLS = ("T00", "T01", "T02", "T03A", "BR-4", "T05")


@pytest.fixture(scope="module")
def edgar() -> Edgar:
    """A year of filings up to yesterday."""
    now = dt.datetime.now(NEW_YORK)
    made = Edgar(COMPANIES, now.date() - dt.timedelta(days=365), now.date() - dt.timedelta(days=1))
    made.now = now
    return made


@pytest.fixture
def world(edgar):
    with site(edgar.served) as made:
        yield made


def ingest(root: Path, edgar: Edgar, world: Site, first: int = 0, rate: float = RATE) -> faulted_command.Ended:
    """Run the command; it dies at its write of this number."""
    start = edgar.now.date() - dt.timedelta(days=365)
    arguments = [
        "research=edgar", f"research.start='{start}'", f"research.edgar.address={world.url}",
        f"research.edgar.data_address={world.url}", f"universe.symbols=[{','.join(SYMBOLS)}]",
        "source.live.contact=me@example.org", f"data.root={root.as_posix()}/data", f"data.logs={root.as_posix()}/logs",
    ]  # fmt: skip
    if rate:
        arguments += [f"+source.live.rates.edgar={rate}", f"+source.live.ceilings.edgar={rate}"]
    root.mkdir(exist_ok=True)
    return faulted_command.run("ingest", arguments, Faults(root, first, "kill"), root.parent, PRELOAD)


def contents(root: Path) -> pl.DataFrame:
    rows = DocumentStore(root / "data" / "research" / "documents").documents("edgar")
    assert rows.height == rows.select("id", "revision").n_unique()
    return rows.sort("id", "revision").select("id", "revision", "content_hash", "accepted", "entity")


def test_twenty_kills_lose_nothing_and_double_nothing(edgar: Edgar, world: Site, tmp_path: Path) -> None:
    whole = ingest(tmp_path / "whole", edgar, world)
    assert whole.status == 0, whole.error
    expected, paths = contents(tmp_path / "whole"), set(world.paths)
    assert expected.height > 100
    moments = sorted({1 + round(i * (whole.points - 1) / (KILLS - 1)) for i in range(KILLS)})
    for moment in moments:
        root, before = tmp_path / f"at{moment}", len(world.requests)
        assert ingest(root, edgar, world, moment).status == KILLED, moment
        done = ingest(root, edgar, world)
        assert done.status == 0, (moment, done.error)
        assert contents(root).equals(expected), moment
        asked = Counter(each.path for each in world.requests[before:])
        assert set(asked) == paths, moment
        assert max(asked.values()) <= 2, moment


def test_the_pace_of_the_sec_is_kept_without_settings(edgar: Edgar, world: Site, tmp_path: Path) -> None:
    done = ingest(tmp_path / "paced", edgar, world, rate=0)
    assert done.status == 0, done.error
    verdict = world.watch.verdict("site")["windows"]
    assert verdict["20"] <= 9 * 20 + 4
    assert verdict["5"] <= 9 * 5 + 4
