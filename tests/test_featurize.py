import datetime as dt
import logging
import multiprocessing
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from src.config.schema import Config
from src.core.errors import ConfigError, StageError
from src.core.project import ROOT
from src.features import registry
from src.features.catalog import code_hash, declared, needs_panel
from src.features.compute import compute
from src.features.selection import select
from src.features.store import FeatureStore
from src.featurize import featurize
from src.market.bars import SCHEMA, BarStore, Manifest, bucket
from src.market.panel import panel_hash
from src.storage import atomic
from tests import process_case
from tests.features import stored_case
from tests.features.series import lively

BUCKETS = 3
KEYS = [("stock", f"S{k}") for k in range(7)] + [("etf", "S1"), ("crypto", "BTC-USD")]


def universe(n: int = 300) -> pl.DataFrame:
    return pl.concat(lively(n, seed, symbol=symbol, asset_class=kind) for seed, (kind, symbol) in enumerate(KEYS))


def hydrated(root: Path, bars: pl.DataFrame, panel=KEYS, left_out=()) -> BarStore:
    """What hydrate would leave, by the store's own means; `left_out` are quarantined keys, without bars."""
    store = BarStore(root)
    for b in range(BUCKETS):
        here = pl.Series([bucket(*key, BUCKETS) == b for key in bars.select("asset_class", "symbol").iter_rows()])
        rows = bars.select(SCHEMA.keys()).filter(here)
        quarantined = [key for key in left_out if bucket(*key, BUCKETS) == b]
        if rows.is_empty() and not quarantined:
            continue
        states = rows.group_by("asset_class", "symbol").agg(
            state=pl.lit("done"), reason=pl.lit(None, pl.String), rows=pl.len().cast(pl.Int64),
            first=pl.col("date").min(), last=pl.col("date").max(), repaired=pl.lit(0, pl.Int64),
            basis=pl.lit("total_return"), liquidity=pl.lit(1.0), dollar_volume=pl.lit(1.0), origin=pl.lit(""),
        )  # fmt: skip
        bad = pl.DataFrame(
            [
                (*key, "quarantined", "frozen series", 0, None, None, 0, "total_return", None, None, "")
                for key in quarantined
            ],
            schema=states.schema,
            orient="row",
        )
        store.ledger.record(b, "key", pl.concat([states, bad]), digest=store.write_bucket(b, rows))
    store.write_panel(panel)
    store.write_manifest(Manifest("demo", "1d", "folder", "p", "auto", BUCKETS, None, "f", "j", True))
    return store


@pytest.fixture
def config(tmp_path) -> Config:
    config = Config()
    config.data.root = str(tmp_path / "data")
    config.features.families = ["calendar", "price", "crowd"]
    return config


@pytest.fixture
def store(config) -> FeatureStore:
    hydrated(Path(config.data.root) / "bars" / "demo", universe(), left_out=[("stock", "BAD")])
    return FeatureStore(Path(config.data.root) / "features" / "demo")


def identity(store: FeatureStore, config: Config) -> tuple[dict[str, str], str | None]:
    """Hashes of what the stored columns were made from; raises where that is not what there is now."""
    chosen, bars = select(config.features), BarStore(config.paths.bars)
    hashes, looks = {item.name: code_hash(item) for item in chosen}, any(needs_panel(item) for item in chosen)
    for b in store.buckets():
        store.require_current(b, bars.digest(b), hashes, looks=looks)
    until = dt.date.fromisoformat(config.split.until) if config.split.until else None
    return hashes, panel_hash(store.panel(), until) if looks else None


def states(config) -> pl.DataFrame:
    return pl.read_parquet(Path(config.data.root) / "states" / "demo" / "featurize.parquet")


def written(store: FeatureStore) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in store.root.glob("b*.npy")}


def test_every_instrument_of_the_universe_ends_in_one_state_and_the_line_says_so(config, store):
    line = featurize(config)
    count = len(select(config.features))
    assert line == f"featurize: 9 instruments, {count} features, 2,700 rows; 0 failed, 1 skipped"
    table = states(config)
    assert table.columns == ["asset_class", "symbol", "state", "reason", "rows", "first", "last"]
    assert table.height == table.select("asset_class", "symbol").n_unique() == 10
    assert table.filter(symbol="BAD").select("state", "reason").row(0) == (
        "skipped",
        "quarantined by hydrate: frozen series",
    )


def test_rows_are_those_of_the_bars_and_values_those_of_one_instrument_alone(config, store):
    featurize(config)
    bars = BarStore(Path(config.data.root) / "bars" / "demo")
    chosen = select(config.features)
    for b in bars.buckets():
        rows, features = bars.read_bucket(b), store.read_bucket(b)
        key = ["asset_class", "symbol", "date"]
        assert rows.select(key).equals(features.select(key))
        for one in rows.partition_by("asset_class", "symbol"):
            mine = features.join(one.select(key), on=key, how="semi")
            assert mine.equals(compute(one, chosen, store.panel()))


def test_before_hydrate_the_missing_command_is_named(config):
    with pytest.raises(
        StageError, match=r"no bars for universe=demo: run `python -m src\.hydrate universe=demo source=auto` first"
    ):
        featurize(config)


def test_an_unknown_feature_is_a_configuration_error(config, store):
    config.features.names = ["rsi_41"]
    with pytest.raises(ConfigError, match="did you mean rsi_14"):
        featurize(config)


def test_nothing_changed_writes_nothing(config, store):
    featurize(config)
    before = written(store)
    assert featurize(config).startswith("featurize: 9 instruments")
    assert written(store) == before


def test_a_smaller_choice_is_already_there_and_a_larger_one_is_computed(config, store):
    featurize(config)
    before = written(store)
    config.features.families = ["calendar"]
    featurize(config)
    assert written(store) == before
    config.features.families = ["calendar", "trend"]
    featurize(config)
    assert set(store.read_bucket(store.buckets()[0]).columns) >= {"adx_14", "month"}


def test_a_new_bar_rewrites_the_current_year_of_its_bucket_alone(config, store):
    config.features.families = ["calendar", "price"]
    featurize(config)
    before = written(store)
    extended = pl.concat([universe(), lively(301, 0, symbol="S0")[300:]])
    hydrated(Path(config.data.root) / "bars" / "demo", extended, panel=[])
    featurize(config)
    b, year = bucket("stock", "S0", BUCKETS), extended["date"].max().year
    assert {name for name, time_ in written(store).items() if before[name] != time_} == {f"b{b:03d}-{year}.npy"}


def test_changed_code_and_a_changed_panel_compute_what_uses_them(config, store, monkeypatch):
    featurize(config)
    before = identity(store, config)[0]

    def market_return(market_index):
        return market_index

    monkeypatch.setitem(registry.INGREDIENTS, "market_return", market_return)
    with pytest.raises(StageError, match=r"features of universe=demo lack .* as it is declared now .*featurize"):
        identity(store, config)
    featurize(config)
    after = identity(store, config)[0]
    assert {name for name in after if after[name] != before[name]} >= {"beta_63"}
    assert after["month"] == before["month"]


def test_identity_holds_code_and_panel_up_to_until(config, store):
    featurize(config)
    config.split.until = "2015-12-31"
    hashes, panel = identity(store, config)
    assert list(hashes) == [item.name for item in select(config.features)]
    longer = pl.concat(lively(330, seed, symbol=symbol, asset_class=kind) for seed, (kind, symbol) in enumerate(KEYS))
    longer = pl.concat([universe(), longer.join(universe(), on=["asset_class", "symbol", "date"], how="anti")])
    hydrated(Path(config.data.root) / "bars" / "demo", longer)
    with pytest.raises(StageError, match="older than its bars"):
        identity(store, config)
    featurize(config)
    assert identity(store, config) == (hashes, panel)
    config.split.until = None
    assert identity(store, config)[1] != panel
    config.features.families = ["calendar"]
    assert identity(store, config)[1] is None


def test_a_formula_that_raises_fails_its_instrument_with_the_reason_and_no_other(config, store, monkeypatch):
    plain = declared()["return_1"]

    def touchy(close, bars):
        if abs(close[0] - 1.2345) > 9 or len(close) != 300:
            raise ZeroDivisionError("no close")
        return plain.function(close, bars)

    bars = pl.concat([universe(), lively(250, 40, symbol="ODD")])
    hydrated(Path(config.data.root) / "bars" / "demo", bars)
    monkeypatch.setitem(registry.FEATURES, "return_1", registry.Feature(**{**vars(plain), "function": touchy}))
    assert "; 1 failed, 0 skipped" in featurize(config)
    failed = states(config).filter(state="failed").row(0, named=True)
    assert (failed["symbol"], failed["reason"]) == ("ODD", "feature return_1 failed: ZeroDivisionError: no close")
    mine = store.read_bucket(bucket("stock", "ODD", BUCKETS)).filter(symbol="ODD")
    assert mine.height == 250
    assert mine["return_1"].null_count() == 250


def test_an_unreadable_bucket_fails_its_instruments_and_is_tried_again(config, store):
    root = Path(config.data.root) / "bars" / "demo"
    b = bucket("stock", "S0", BUCKETS)
    shard = sorted(root.glob(f"b{b:03d}-*.parquet"))[0]
    content = shard.read_bytes()
    BarStore(root).write_panel([])
    shard.write_bytes(content[: len(content) // 2])
    assert " 0 failed" not in featurize(config)
    assert set(states(config).filter(state="failed")["symbol"]) >= {"S0"}
    shard.write_bytes(content)
    assert " 0 failed, 1 skipped" in featurize(config)


def test_a_damaged_file_is_named_and_rebuilt_by_fresh(config, store):
    featurize(config)
    whole = {path: path.read_bytes() for path in sorted(store.root.glob("b*.npy"))}
    path, b = next(iter(whole)), store.buckets()[0]
    path.write_bytes(whole[path][:500])
    rows = BarStore(Path(config.data.root) / "bars" / config.dataset).read_bucket(b)
    for read in (lambda: store.read_matrices(b, ["return_1"], rows), lambda: store.read_bucket(b)):
        with pytest.raises(StageError, match=r"can't be read .*src.featurize.*fresh=true"):
            read()
    config.fresh = True
    featurize(config)
    assert {path: path.read_bytes() for path in whole} == whole


def test_features_of_an_earlier_form_are_computed_again_and_the_log_says_so(config, store, caplog):
    featurize(config)
    whole = {path: path.read_bytes() for path in store.root.glob("b*.npy")}
    for b in store.buckets():
        record = store.ledger.read(b)
        facts = {("features" if name == "columns" else name): value for name, value in record.facts.items()}
        atomic.write_parquet(store.read_bucket(b), store.root / f"b{b:03d}-2015.parquet")
        store.ledger.record(b, record.key, record.states, **facts)
    for path in whole:
        path.unlink()
    with pytest.raises(StageError, match="in the form of an earlier version: run `python -m src.featurize"):
        identity(store, config)
    caplog.set_level(logging.INFO)
    featurize(config)
    assert f"{len(store.buckets())} buckets are stored in the form of an earlier version" in caplog.text
    assert {path: path.read_bytes() for path in store.root.glob("b*-*")} == whole
    assert identity(store, config)


def test_only_narrows_to_the_buckets_of_the_named_symbols(config, store):
    config.only = ["etf:S1"]
    featurize(config)
    assert store.buckets() == [bucket("etf", "S1", BUCKETS)]
    left_out = states(config).filter(pl.col("reason").str.contains("only"))
    assert set(left_out["state"]) == {"skipped"}
    with pytest.raises(StageError, match="not featurized"):
        store.read_bucket(next(b for b in range(BUCKETS) if b not in store.buckets()))


def test_buckets_of_a_former_larger_layout_are_removed(config, store):
    featurize(config)
    stored_case.write(store, 7, store.read_bucket(store.buckets()[0]))
    store.ledger.record(7, "", store.ledger.states(store.buckets()[0]))
    featurize(config)
    assert 7 not in store.buckets()
    assert not list(store.root.glob("b007-*"))


def test_workers_and_this_process_write_the_same_values(config, store, monkeypatch):
    featurize(config)
    here = {b: store.read_bucket(b) for b in store.buckets()}
    monkeypatch.setattr("src.features.build.IN_PROCESS", 0)
    config.fresh, config.engine.workers = True, 2
    featurize(config)
    assert multiprocessing.active_children() == []
    for b, table in here.items():
        assert store.read_bucket(b).equals(table)


KILLED = """
import sys
from src.config.schema import Config
from src.featurize import featurize
config = Config()
config.data.root = sys.argv[1]
featurize(config)
"""


@pytest.mark.parametrize("after", [0.0, 0.15, 0.4])
def test_killed_at_any_moment_it_goes_on_and_ends_the_same(config, store, after):
    config.features.families = []
    command = [sys.executable, "-c", KILLED, config.data.root]
    with process_case.started(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as work:
        process_case.until(lambda: store.root.exists() or work.poll() is not None)
        process_case.pause(after)
        work.kill()
        work.wait(process_case.HANG)
    featurize(config)
    assert states(config)["state"].value_counts().sort("state").rows() == [("done", 9), ("skipped", 1)]
    whole = compute(universe(), select(config.features), store.panel()).sort("asset_class", "symbol", "date")
    assert pl.concat(store.read_bucket(b) for b in store.buckets()).sort("asset_class", "symbol", "date").equals(whole)


def test_the_panel_is_not_read_again_while_bars_and_members_stay(config, store, monkeypatch):
    featurize(config)
    monkeypatch.setattr("src.features.store.panel_hash", None)
    monkeypatch.setattr(BarStore, "read_bucket", None)
    featurize(config)


def test_a_later_date_is_read_from_its_year(config, store):
    featurize(config)
    years = {path.stem.split("-")[1] for path in store.root.glob("b*.npy")}
    assert years == {"2015", "2016"}
    assert store.read_bucket(store.buckets()[0])["date"].min() == dt.date(2015, 1, 2)


MINE = """
from src.features.registry import feature


@feature("momentum", window=2, source="mine")
def twice(return_1):
    "Twice the return."
    return 2 * return_1
"""


def test_the_users_own_features_are_computed_in_workers_too(config, store, monkeypatch, tmp_path):
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    config.features.families = ["price"]
    config.features.extra = [{"talib": "CCI", "timeperiod": 14}]
    config.features.files = [str(tmp_path / "mine.py")]
    monkeypatch.setattr("src.features.build.IN_PROCESS", 0)
    config.engine.workers = 2
    assert " 0 failed" in featurize(config)
    hashes = identity(store, config)[0]
    assert {"talib_cci_14", "twice"} < set(hashes)
    table = store.read_bucket(store.buckets()[0]).drop_nulls("twice")
    assert (table["twice"] - 2 * table["return_1"]).abs().max() < 1e-6
    assert table["talib_cci_14"].drop_nulls().len() > 0
    config.features.extra = [{"talib": "CCI", "timeperiod": 20}]
    with pytest.raises(StageError, match="lack talib_cci_20"):
        identity(store, config)


def test_an_extra_that_looks_ahead_is_refused_before_any_work(config, store):
    config.features.extra = [{"talib": "SMA"}]
    with pytest.raises(ConfigError, match="scale: close"):
        featurize(config)
    assert store.buckets() == []


BEYOND = """
import numpy as np
from src.features.registry import feature
from src.features.windows import lag


@feature("momentum", window=2, source="mine")
def patient(close):
    "The last return, and on more than 2,000 bars the next one."
    return (np.append(close[1:], np.nan) if len(close) > 2000 else lag(close, 1)) / close
"""


@pytest.fixture
def beyond(config, tmp_path):
    """A universe of which one instrument has more bars than the vetting, and a file that looks ahead on it alone."""
    long = ("stock", "S3")
    bars = pl.concat(lively(2100 if key == long else 300, seed, key[1], key[0]) for seed, key in enumerate(KEYS))
    hydrated(Path(config.data.root) / "bars" / "demo", bars)
    (tmp_path / "beyond.py").write_text(BEYOND, encoding="utf-8")
    config.features.families = ["price"]
    config.features.files = [str(tmp_path / "beyond.py")]
    return FeatureStore(Path(config.data.root) / "features" / "demo"), bucket(*long, BUCKETS)


REFUSED = r"^featurize universe=demo: patient looks ahead on stock:S3 at 20\d\d-\d\d-\d\d: .*Nothing of this column"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_column_that_looks_ahead_on_one_instrument_is_refused_with_its_date(config, beyond, monkeypatch, workers):
    store, b = beyond
    monkeypatch.setattr("src.features.build.IN_PROCESS", 0)
    config.engine.workers = workers
    with pytest.raises(ConfigError, match=REFUSED) as caught:
        featurize(config)
    assert "\n" not in str(caught.value)
    assert multiprocessing.active_children() == []
    assert b not in store.buckets()
    assert not list(store.root.glob(f"b{b:03d}-*.npy"))


def test_a_refused_column_is_used_of_no_bucket_and_the_others_of_every_bucket(config, beyond):
    store, b = beyond
    with pytest.raises(ConfigError, match="patient looks ahead"):
        featurize(config)
    config.only = [":".join(next(key for key in KEYS if bucket(*key, BUCKETS) != b))]
    featurize(config)
    assert store.buckets()
    with pytest.raises(StageError, match=r"universe=demo: patient looks ahead on stock:S3 .*src\.featurize"):
        identity(store, config)
    config.features.files = []
    assert identity(store, config)
    config.only = []
    featurize(config)
    assert store.buckets() == BarStore(config.paths.bars).buckets()


def test_a_refused_column_is_refused_again_at_once_and_taken_when_it_is_mended(config, beyond, tmp_path):
    store, _ = beyond
    for _ in range(2):
        with pytest.raises(ConfigError, match=REFUSED):
            featurize(config)
    (tmp_path / "beyond.py").write_text(BEYOND.replace("len(close) > 2000", "len(close) > 9999"), encoding="utf-8")
    featurize(config)
    assert "patient" in identity(store, config)[0]
    assert store.buckets() == BarStore(config.paths.bars).buckets()


def test_own_columns_wait_until_every_bucket_has_passed(config, store, monkeypatch, tmp_path):
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    config.features.families = ["price"]
    config.features.files = [str(tmp_path / "mine.py")]
    done = []

    def interrupted(self, b, *rest):
        if done:
            raise KeyboardInterrupt
        done.append(record(self, b, *rest))

    record = FeatureStore.record
    monkeypatch.setattr(FeatureStore, "record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        featurize(config)
    with pytest.raises(StageError, match="twice is not yet checked for look-ahead on all instruments"):
        identity(store, config)
    monkeypatch.setattr(FeatureStore, "record", record)
    featurize(config)
    assert identity(store, config)


def test_own_columns_that_were_stored_without_the_check_are_computed_again(config, store, tmp_path):
    (tmp_path / "mine.py").write_text(MINE, encoding="utf-8")
    config.features.families = ["price"]
    config.features.files = [str(tmp_path / "mine.py")]
    featurize(config)
    before = {b: store.ledger.read(b) for b in store.buckets()}
    featurize(config)
    assert {b: store.ledger.read(b) for b in store.buckets()} == before
    for b, kept in before.items():
        store.ledger.record(b, kept.key, kept.states, **{**kept.facts, "checked": {}})
    with pytest.raises(StageError, match="lack twice as it is declared now"):
        identity(store, config)
    featurize(config)
    assert {b: store.ledger.read(b) for b in store.buckets()} == before
