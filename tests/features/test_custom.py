"""Indicators named in YAML and a user's own files: what is taken, what is refused and why."""

import sys
import textwrap

import numpy as np
import polars as pl
import pytest
import talib

from src.config.schema import FeaturesConfig
from src.features import custom, indicators
from src.features.catalog import code_hash, declared
from src.features.compute import compute
from src.features.registry import FeatureError
from src.features.selection import select
from src.features.trial_bars import thin
from tests.features import properties
from tests.features.series import lively, with_prices

PANDAS_TA = pytest.mark.skipif(sys.version_info < (3, 12), reason="pandas-ta needs Python 3.12")
CCI = {"talib": "CCI", "timeperiod": 14}


def chosen(*extra, **more):
    return select(FeaturesConfig(families=["extra", "own"], extra=list(extra), **more))


def refusal(*extra, **more) -> str:
    with pytest.raises(FeatureError) as caught:
        chosen(*extra, **more)
    words = str(caught.value)
    assert "\n" not in words
    return words


def prices(bars):
    return [(bars[name] * bars["factor"]).to_numpy() for name in ("open", "high", "low", "close")]


def test_an_indicator_is_what_its_library_gives_on_total_return_prices():
    bars = lively(400)
    table = compute(bars, chosen(CCI))
    _, high, low, close = prices(bars)
    assert np.allclose(table["talib_cci_14"].to_numpy(), talib.CCI(high, low, close, 14), rtol=1e-4, equal_nan=True)


@PANDAS_TA
def test_each_output_is_a_column_and_those_in_units_of_the_price_are_put_over_the_close():
    import pandas as pd
    import pandas_ta

    bars = lively(400)
    items = chosen({"pandas_ta": "supertrend", "length": 10, "scale": "close"})
    table = compute(bars, items)
    _, high, low, close = (pd.Series(each) for each in prices(bars))
    theirs = pandas_ta.supertrend(high, low, close, length=10)
    where = max(item.window for item in items)
    line = (theirs["SUPERT_10_3.0"] / close).to_numpy()[where:]
    assert np.allclose(table["pandas_ta_supertrend_10_supert_10_3_0"].to_numpy()[where:], line, rtol=1e-5)
    side = theirs["SUPERTd_10_3.0"].to_numpy()[where:]
    assert np.array_equal(table["pandas_ta_supertrend_10_supertd_10_3_0"].to_numpy()[where:], side)


@PANDAS_TA
def test_some_outputs_can_be_kept():
    items = chosen({"pandas_ta": "supertrend", "length": 10, "columns": ["SUPERTd_10_3.0"]})
    assert [item.name for item in items] == ["pandas_ta_supertrend_10_supertd_10_3_0"]
    assert "did you mean SUPERTd_7_3.0" in refusal({"pandas_ta": "supertrend", "columns": ["SUPERTd"]})


@PANDAS_TA
def test_extras_have_the_properties_of_the_projects_own():
    items = chosen(
        CCI,
        {"pandas_ta": "rsi", "length": 14},
        {"talib": "MACD", "scale": "close"},
        {"pandas_ta": "dpo", "centered": False, "scale": "close"},
    )
    assert properties.seeing_the_future(items) == set()
    assert properties.needing_more_than_the_window(items) == set()
    assert properties.changed_by_scale(items, "price") == set()
    assert properties.changed_by_scale(items, "volume") == set()
    assert properties.leaking_between_instruments(items) == set()


@PANDAS_TA
@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"pandas_ta": "ichimoku"}, "ICS_26 .* looks ahead: .*set include_chikou: false"),
        ({"pandas_ta": "dpo", "scale": "close"}, "DPO_20 .* looks ahead: .*set centered: false"),
        ({"pandas_ta": "rsi", "offset": -1}, "looks ahead"),
        ({"pandas_ta": "tos_stdevall"}, "looks ahead"),
        ({"pandas_ta": "rsy"}, "pandas_ta has no indicator 'rsy': did you mean rs"),
        ({"pandas_ta": "rsi", "lenght": 14}, "no parameter 'lenght': did you mean length"),
    ],
)
def test_an_indicator_of_pandas_ta_that_breaks_a_rule_is_refused(extra, words):
    with pytest.raises(FeatureError, match=words):
        chosen(extra)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"talib": "SMA"}, "real of .talib: SMA. must not change when all prices are times seven.*scale: close"),
        ({"talib": "OBV"}, "must not change when all volumes are times seven"),
        ({"talib": "MAVP"}, "needs more than prices and volume"),
        ({"talib": "CCJ"}, "talib has no indicator 'CCJ': did you mean CCI"),
        ({"talib": "CCI", "length": 14}, "CCI of talib has no parameter 'length'.*timeperiod"),
        ({"talib": "CCI", "timeperiod": -3}, "does not run: .*Bad Parameter"),
        ({"talib": "CCI", "timeperiod": 1490}, "has no value in its first 756 bars"),
    ],
)
def test_an_indicator_of_talib_that_breaks_a_rule_is_refused(extra, words):
    with pytest.raises(FeatureError, match=words):
        chosen(extra)


def test_a_running_total_is_refused_because_it_never_forgets(monkeypatch):
    def total(name, parameters, known):
        return {"total": np.cumsum(np.sign(np.diff(known["close"], prepend=known["close"][0])))}

    monkeypatch.setattr(indicators, "talib_values", total)
    custom._extra.cache_clear()
    assert "remembers too long: the last 756 bars" in refusal({"talib": "CCI", "timeperiod": 3})
    custom._extra.cache_clear()


def test_an_infinite_indicator_is_refused(monkeypatch):
    def endless(name, parameters, known):
        return {"odd": np.where(known["close"] > 0, np.inf, 0.0)}

    monkeypatch.setattr(indicators, "talib_values", endless)
    custom._extra.cache_clear()
    assert "is infinite on ordinary bars" in refusal({"talib": "CCI", "timeperiod": 3})
    custom._extra.cache_clear()


def test_without_pandas_ta_the_refusal_says_which_python_has_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas_ta", None)
    indicators._names.cache_clear()
    assert "pandas-ta is not installed here (it needs Python 3.12" in refusal({"pandas_ta": "rsi", "length": 77})


def test_the_hash_is_that_of_library_release_indicator_parameters_and_output(monkeypatch):
    first = code_hash(chosen(CCI)[0])
    assert first == code_hash(chosen(dict(reversed(CCI.items())))[0])
    assert first != code_hash(chosen(CCI | {"timeperiod": 15})[0])
    bands = chosen({"talib": "BBANDS", "scale": "close"})
    assert len({code_hash(item) for item in bands}) == 3
    monkeypatch.setattr(indicators, "version", lambda _: "9.9")
    assert first != code_hash(chosen(CCI)[0])


def test_extras_come_on_top_of_the_choice_and_exclude_wins():
    trend = FeaturesConfig(families=["trend"])
    assert len(select(FeaturesConfig(families=["trend"], extra=[CCI]))) == len(select(trend)) + 1
    assert "talib_cci_14" not in {item.name for item in select(FeaturesConfig(extra=[CCI], exclude=["extra"]))}
    assert "talib_cci_14 is declared twice" in refusal(CCI, CCI)


def test_a_series_that_is_short_or_without_volume_gives_null():
    items = chosen(CCI, {"talib": "MFI"}, {"talib": "HT_DCPERIOD"})
    bare = lively(300).with_columns(volume=pl.lit(None, pl.Float64))
    for bars in (lively(1), lively(5), bare):
        table = compute(bars, items)
        assert table["talib_mfi"].null_count() == bars.height
    assert compute(bare, items)["talib_cci_14"].null_count() == 13


MINE = """
    from src.features.registry import feature, ingredient
    from src.features.windows import Array, lag, mean

    LIMIT = 2.0


    @ingredient
    def jump(close: Array, prior_close: Array) -> Array:
        "Relative move."
        return close / prior_close - 1


    def clipped(x: Array) -> Array:
        return x.clip(-LIMIT, LIMIT)


    @feature("momentum", bars=(5, 10), window=lambda bars: bars + 1, source="mine")
    def mean_jump(jump: Array, bars: int) -> Array:
        "Mean relative move of n bars."
        return mean(clipped(jump), bars)
"""


@pytest.fixture
def mine(tmp_path):
    return written(tmp_path, MINE)


def written(folder, text, name="mine.py"):
    path = folder / name
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return str(path)


def test_a_file_of_declarations_is_picked_up_by_path(mine):
    items = select(FeaturesConfig(families=["calendar"], files=[mine]))
    assert [item.name for item in items][-2:] == ["mean_jump_5", "mean_jump_10"]
    assert "mean_jump_5" not in declared()
    bars = lively(60)
    close = prices(bars)[3]
    own_values = compute(bars, items)["mean_jump_5"].to_numpy()
    assert own_values[-1] == pytest.approx(np.mean(close[-5:] / close[-6:-1] - 1), rel=1e-5)
    assert np.isnan(own_values[:5].astype(float)).all()


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("LIMIT = 2.0", "LIMIT = 2.0  # why", True),
        ("LIMIT = 2.0", "LIMIT = 3.0", False),
        ("return x.clip(-LIMIT, LIMIT)", "return x.clip(-LIMIT, LIMIT + 1)", False),
        ("return close / prior_close - 1", "return close / prior_close - 1.5", False),
    ],
)
def test_the_code_of_a_file_and_not_its_place_is_in_the_hash(tmp_path, mine, old, new, same):
    before = code_hash(chosen(files=[mine])[0])
    (tmp_path / "other").mkdir()
    moved = written(tmp_path / "other", MINE.replace(old, new))
    assert (code_hash(chosen(files=[moved])[0]) == before) is same


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("LIMIT = 2.0", "LIMIT = (2.0", r"mine.py, line \d+: .*never closed"),
        ("LIMIT = 2.0", "LIMIT = nothing", "mine.py, line 5: NameError: name 'nothing'"),
        ("LIMIT = 2.0", "import no_such_thing", "mine.py, line 5: ModuleNotFoundError"),
        ('"momentum"', '"momentom"', "line 18: .*no family is named 'momentom': did you mean momentum"),
        ("def mean_jump(", "def log_return(", None),
        ("def jump(", "def log_return(", "mine.py, line 8: log_return is declared twice: choose another name"),
        ("mean(clipped(jump), bars)", "mean(jump[::-1], bars)[::-1]", "mean_jump_5 looks ahead"),
        ("mean(clipped(jump), bars)", "jump - jump[1:].mean()", "mean_jump_5 looks ahead"),
        ("bars + 1, source", "bars, source", "mean_jump_5: the last window=5 bars must give its value"),
        ("mean(clipped(jump), bars)", "mean(jump, bars) / missing", "line 21: feature mean_jump_5 failed: NameError"),
        ("close / prior_close - 1", "close - prior_close", "all prices are times seven"),
        ("(close: Array, prior_close: Array)", "(volume: Array, close: Array, prior_close: Array)", None),
        ("mean_jump(jump: Array, bars", "mean_jump(jomp: Array, bars", "input 'jomp' is no column"),
        ('source="mine")', 'source="mine", tolerance=3.0)', "tolerance must be from 0 to 0.05"),
        ("@feature(", "# @feature(", "declares no feature"),
    ],
)
def test_a_file_that_breaks_a_rule_is_refused_with_its_line(tmp_path, old, new, words):
    changed = textwrap.dedent(MINE).replace(old, new)
    path = written(tmp_path, changed)
    if words is None:
        assert chosen(files=[path])
        return
    with pytest.raises(FeatureError, match=words):
        chosen(files=[path])


def test_a_feature_in_a_file_that_looks_ahead_is_refused(tmp_path):
    ahead = MINE.replace("mean(clipped(jump), bars)", "mean(clipped(jump), bars) + 1e-3 * jump[-1]")
    assert "mean_jump_5 looks ahead" in refusal(files=[written(tmp_path, ahead)])


def test_files_that_are_missing_or_share_a_name_are_refused(tmp_path, mine):
    assert "can't read nowhere.py" in refusal(files=["nowhere.py"])
    (tmp_path / "other").mkdir()
    assert "have one name" in refusal(files=[mine, written(tmp_path / "other", MINE)])


def test_two_files_may_not_declare_one_name(tmp_path, mine):
    twin = written(tmp_path, MINE, "twin.py")
    assert "mean_jump_5 is declared twice" in refusal(files=[mine, twin])


def test_an_edited_file_is_read_again(tmp_path, mine):
    before = code_hash(chosen(files=[mine])[0])
    written(tmp_path, MINE.replace("2.0", "2.5"))
    assert code_hash(chosen(files=[mine])[0]) != before


def test_prices_times_seven_leave_a_column_over_the_close_alone():
    items = chosen({"talib": "SMA", "timeperiod": 20, "scale": "close"})
    one, seven = (compute(with_prices(lively(100), by), items)["talib_sma_20"].to_numpy() for by in (1.0, 7.0))
    assert np.allclose(one, seven, rtol=1e-6, equal_nan=True)


def test_a_worker_computes_what_was_checked(mine):
    choice = FeaturesConfig(families=["own"], extra=[{"talib": "MACD", "scale": "close"}, CCI], files=[mine])
    checked = select(choice)
    handed = select(choice, windows={item.name: (item.window, item.tolerance) for item in checked})
    assert [(item.name, item.doc, item.window) for item in handed] == [
        (item.name, item.doc, item.window) for item in checked
    ]
    assert [code_hash(item) for item in handed] == [code_hash(item) for item in checked]
    assert compute(lively(300), handed).equals(compute(lively(300), checked))


ONE = """
    import numpy as np
    from src.features.registry import feature
    from src.features.windows import lag


    @feature("momentum", window={window}, scale="{scale}", source="mine")
    def mine({inputs}):
        "Mine."
        return {formula}
"""


@pytest.mark.parametrize(
    ("inputs", "formula", "window", "words"),
    [
        ("volume", "volume / lag(volume, 1)", 2, "mine is infinite on a bar .*: return NaN where its divisor is 0"),
        ("high, low", "1 / np.log(high / low)", 1, "mine is infinite on a bar without volume: return NaN"),
        ("split", "split", 1, "mine looks ahead: a later split changes its earlier values"),
        ("volume, split", "split * volume / (volume + lag(volume, 1))", 2, "later split"),
        (
            "members_return_21",
            "members_return_21.values[np.minimum(members_return_21.row + 1, len(members_return_21.values) - 1), 30]",
            1,
            "mine looks ahead",
        ),
        (
            "log_return",
            "np.where(np.abs(np.append(log_return[1:], 0.0)) > 0.12, 1.0, 0.01 * np.sign(log_return))",
            2,
            "mine looks ahead",
        ),
        (
            "direction",
            "np.arange(len(direction)) - np.maximum.accumulate(np.where(direction != 0, np.arange(len(direction)), 0))",
            2,
            "the last window=2 bars must give its value",
        ),
        ("close", "close.sort() or close", 1, "failed: ValueError: .*read-only"),
        ("close, prior_close", "close / prior_close", 2, None),
        ("high, low, close", "(close - low) / (high - low)", 1, None),
        ("traded_close", "traded_close / lag(traded_close, 1)", 2, None),
    ],
)
def test_a_declaration_is_tried_on_bars_that_stand_still_tie_and_split(tmp_path, inputs, formula, window, words):
    path = written(tmp_path, ONE.format(inputs=inputs, formula=formula, window=window, scale="none"))
    if words is None:
        assert chosen(files=[path])
        return
    with pytest.raises(FeatureError, match=words):
        chosen(files=[path])


def test_of_a_price_scale_the_price_as_traded_is_no_look_ahead_and_todays_shares_are(tmp_path):
    texts = [ONE.format(inputs=name, formula=name, window=1, scale="price") for name in ("traded_close", "raw_close")]
    good, bad = (written(tmp_path, text, f"own_{at}.py") for at, text in enumerate(texts))
    assert chosen(files=[good], names=["mine"])
    assert "take traded_close" in refusal(files=[bad])


def test_a_window_that_ordinary_bars_suffice_for_is_lengthened_where_bars_stand_still():
    (item,) = chosen({"talib": "CDLINNECK"})
    assert item.window > 10  # a candle is long or short against the ten before it


def test_an_indicator_that_leaves_rounding_where_nothing_is_traded_keeps_its_window():
    (item,) = chosen({"talib": "VWMA", "scale": "close"})  # a running sum of volume, over what is left of another
    assert (item.window, item.tolerance) == (30, 0.0)


def test_an_indicator_that_is_infinite_where_nothing_moves_is_taken_and_that_is_said(monkeypatch, caplog):
    def ratio(name, parameters, known):
        return {"ratio": known["volume"] / np.r_[np.nan, known["volume"][:-1]]}

    monkeypatch.setattr(indicators, "talib_values", ratio)
    custom._extra.cache_clear()
    assert chosen({"talib": "CCI", "timeperiod": 3})
    custom._extra.cache_clear()
    assert "is infinite where nothing is traded or the price stands still: null there" in caplog.text


@pytest.mark.parametrize("intraday", [False, True])
def test_thin_bars_hold_what_ordinary_ones_do_not(intraday):
    bars = thin(intraday)
    traded = {name: bars[f"raw_{name}"] * bars["split"] for name in ("open", "high", "low", "close")}
    for values in traded.values():
        assert np.allclose(values, np.round(values, 2), atol=1e-9)
        assert (values > 0).all()
    assert (traded["high"] >= np.maximum(traded["open"], traded["close"])).all()
    assert (traded["low"] <= np.minimum(traded["open"], traded["close"])).all()
    still, flat = np.diff(bars["raw_close"]) == 0, traded["high"] == traded["low"]
    assert 0.1 < still.mean() < 0.35
    assert flat[bars["volume"] == 0].all()
    assert (bars["volume"][1100:1140] == 0).all()
    assert (np.diff(traded["high"])[bars["volume"][1:] > 0] == 0).any()
    assert {*bars["split"]} == {1.0, 4.0}
    assert abs(np.log(bars["raw_close"][700] / bars["raw_close"][699])) < 0.2
    assert np.diff(bars["day"]).max() > 40
