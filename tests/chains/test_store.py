"""Snapshots on disk, and the one call that asks for contracts."""

import datetime as dt
import functools
import shutil

import polars as pl
import pytest

from src.chains.quotes import SCHEMA, contract_table, with_flags
from src.chains.store import OptionStore, contracts
from src.options.staleness import age_flags
from src.options.valuation import with_values
from tests.options.oracles import CAPTURED, chain

LATER = CAPTURED + dt.timedelta(days=1)


@functools.cache
def rows(underlying="AAA", asset_class="stock", **settings) -> pl.DataFrame:
    found = contract_table(chain(underlying, **settings), asset_class)
    return with_values(with_flags(found, **age_flags(found)), 0.04)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A store of four snapshots, which no test changes."""
    path = tmp_path_factory.mktemp("chains")
    store = OptionStore(path)
    store.write(rows(), CAPTURED)
    store.write(rows(spot=104.0, captured=LATER), LATER)
    store.write(rows("SPY", "etf", spot=101.0), CAPTURED)
    store.write(rows("SPY", "stock", spot=90.0), CAPTURED)
    return path


def test_the_latest_snapshot_of_each_underlying_comes_whole_and_in_order(root):
    found = contracts(root)
    assert found.columns == list(SCHEMA) and found.height == 4 * 28 - 28
    assert found.select("asset_class", "underlying").unique(maintain_order=True).rows() == [
        ("etf", "SPY"),
        ("stock", "AAA"),
        ("stock", "SPY"),
    ]
    aaa = found.filter(pl.col("underlying") == "AAA")
    assert set(aaa["captured"]) == {LATER}
    assert aaa.equals(rows(spot=104.0, captured=LATER))
    assert contracts(root, "etf:SPY").height == 28 and contracts(root, "SPY").height == 56
    assert contracts(root, ["AAA", "etf:SPY"]).height == 56


def test_what_was_known_at_a_moment_is_all_that_it_sees(root):
    assert set(contracts(root, "AAA", as_of=CAPTURED)["captured"]) == {CAPTURED}
    assert set(contracts(root, "AAA", as_of=CAPTURED.date())["captured"]) == {CAPTURED}
    assert set(contracts(root, "AAA", as_of=LATER.replace(tzinfo=None))["captured"]) == {LATER}
    assert contracts(root, "AAA", as_of=CAPTURED - dt.timedelta(seconds=1)).height == 0
    assert set(contracts(root, "AAA", snapshots="all")["captured"]) == {CAPTURED, LATER}
    assert set(contracts(root, "AAA", snapshots="all", as_of=CAPTURED)["captured"]) == {CAPTURED}


@pytest.mark.parametrize("low", [None, 0.93, 1.0])
@pytest.mark.parametrize("high", [None, 1.07])
@pytest.mark.parametrize("expiry", [(None, None), (dt.date(2026, 3, 1), None), (None, dt.date(2026, 2, 20))])
@pytest.mark.parametrize("kind", [None, "put"])
def test_a_question_gives_what_a_plain_loop_finds(root, low, high, expiry, kind):
    found = contracts(root, "AAA", moneyness=(low, high), expiry=expiry, type=kind, flags={"clean": True})
    whole = rows(spot=104.0, captured=LATER)
    wanted = [
        row["contract"]
        for row in whole.iter_rows(named=True)
        if (low is None or row["moneyness"] >= low)
        and (high is None or row["moneyness"] <= high)
        and (expiry[0] is None or row["expiry"] >= expiry[0])
        and (expiry[1] is None or row["expiry"] <= expiry[1])
        and kind in (None, row["type"])
        and row["clean"]
    ]
    assert found["contract"].to_list() == wanted and wanted


def test_flags_are_asked_for_up_or_down(root):
    whole = contracts(root, "AAA")
    assert contracts(root, "AAA", flags={"wide": True}).height == whole["wide"].sum()
    assert contracts(root, "AAA", flags={"wide": False}).height == (~whole["wide"]).sum()
    assert contracts(root, "AAA", columns=["strike", "iv"]).columns == ["strike", "iv"]


def test_the_error_for_an_unknown_name_lists_the_known_names(root):
    with pytest.raises(ValueError, match="flag must be one of no_bid, .*, got crosed"):
        contracts(root, flags={"crosed": False})
    with pytest.raises(ValueError, match="column must be one of .*, got vol"):
        contracts(root, columns=["vol"])
    with pytest.raises(ValueError, match="type must be one of call, put, got calls"):
        contracts(root, type="calls")  # type: ignore[arg-type]


def test_where_nothing_is_stored_there_are_no_rows_but_the_columns(tmp_path):
    assert dict(contracts(tmp_path / "nothing").schema) == SCHEMA
    assert contracts(tmp_path, "AAA", columns=["iv"]).schema == {"iv": pl.Float64()}
    assert OptionStore(tmp_path).snapshots().height == 0


@pytest.mark.parametrize("symbol", ["CON", "PRN", "NUL", "COM1", "BRK.B", "BF.", "^SPX", "A/B", "TRUE", "NA"])
def test_any_ticker_is_a_folder_on_every_system_and_comes_back(tmp_path, symbol):
    store = OptionStore(tmp_path)
    path = store.write(rows().with_columns(underlying=pl.lit(symbol)), CAPTURED)
    assert path.parent.parent == tmp_path and not path.parent.name.endswith(".")
    assert path.parent.name.split(".")[0] == "stock"  # what Windows looks at for its reserved names
    assert not set('<>:"/\\|?*') & set(path.parent.name) and ":" not in path.name
    assert store.snapshots()["underlying"].to_list() == [symbol]
    assert contracts(tmp_path, symbol).height == 28


def test_a_killed_write_leaves_no_snapshot(root, tmp_path, monkeypatch):
    def killed(*_args, **_kwargs):
        raise KeyboardInterrupt

    own = shutil.copytree(root, tmp_path / "own")
    before = OptionStore(own).snapshots()
    monkeypatch.setattr("polars.DataFrame.write_parquet", killed)
    with pytest.raises(KeyboardInterrupt):
        OptionStore(own).write(rows(), LATER + dt.timedelta(days=1))
    assert before.height == 4
    assert OptionStore(own).snapshots().equals(before)


def test_a_snapshot_is_of_one_underlying(tmp_path):
    with pytest.raises(ValueError, match="of one underlying, got 2"):
        OptionStore(tmp_path).write(pl.concat([rows(), rows("BBB")]), CAPTURED)
