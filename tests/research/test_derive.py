"""Facts of a dataset from what is stored: states of all instruments, and nothing lost where a folder is gone."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest

from src.config.schema import Config
from src.core.errors import StageError
from src.documents.document_store import DocumentStore
from src.documents.fact_store import FactStore
from src.research.derive import derive
from src.research.job import ResearchJob
from src.research.source import CollectContext, Reply
from src.research.sources.simulated import RESEARCH
from tests.signals.trained_case import configured

NOW = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Two stocks and a coin with bars, and two years of documents about the stocks."""
    from src.hydration import files
    from src.hydration.job import HydrationJob

    config = configured(tmp_path_factory.mktemp("derived"), data__until="2019-12-31")
    config.research.simulated.enabled, config.research.scoring.model = True, "none"
    config.research.folder = str(Path(config.data.root) / "research")
    files.run(HydrationJob.of(config))
    job = ResearchJob.of(config)
    nothing = pl.DataFrame(schema={"asset_class": pl.String, "symbol": pl.String})
    context = CollectContext(
        config.research, config.source.live, NOW, nothing, nothing, lambda _id: False, lambda _unit: {},
        lambda _kind: [], bars=config.source, until="2019-12-31",
    )  # fmt: skip
    store = DocumentStore(job.paths.documents, {"default": 0.0})
    for page in RESEARCH.pages(context):
        found = RESEARCH.read(page, Reply(b"", NOW), context)
        store.append(list(found.documents), list(found.asks))
    store.seal()
    return config


def test_every_instrument_has_one_state_and_the_facts_add_up(ingested: Config) -> None:
    job = ResearchJob.of(ingested)
    found = derive(job)
    states = pl.read_parquet(job.paths.states("ingest"))
    assert states.select("asset_class", "symbol", "state").rows() == [
        ("crypto", "SIMC01-USD", "done"), ("stock", "SIM01", "done"), ("stock", "SIM02", "done")
    ]  # fmt: skip
    assert sum(found.facts.values()) == states["rows"].sum() > 100 and found.instruments == 2
    store = FactStore(job.paths.facts)
    assert sum(store.read(b, kind).height for b in store.ledger.units() for kind in found.facts) == states["rows"].sum()
    assert str(found).endswith("about 2 instruments")
    again = derive(job)
    assert again.changed == 0 and again.facts == found.facts


def test_a_folder_that_is_gone_leaves_the_facts_alone(ingested: Config, tmp_path: Path) -> None:
    job = ResearchJob.of(ingested)
    derive(job)
    digest = FactStore(job.paths.facts).digest(0, ["insider_trades"])
    ingested.research.folder = str(tmp_path / "not mounted")
    with pytest.raises(StageError, match=r"there are no documents in .*not mounted, from which the facts of demo were"):
        derive(ResearchJob.of(ingested))
    assert FactStore(job.paths.facts).digest(0, ["insider_trades"]) == digest
