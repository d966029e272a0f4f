"""Chains from files: columns by name, many snapshots in a file, and errors that name a remedy."""

import datetime as dt

import polars as pl
import pytest

from src.chains.quotes import contract_table
from src.options.files import FileError, chains, files
from src.options.valuation import with_values
from tests.options.oracles import CAPTURED, chain

LAYOUT = (
    "underlying,snapshot_last_trade_utc,contract,expiry,type,strike,bid,ask,last,volume,open_interest,iv,"
    "underlying_price,last_trade_utc\n"
    "AAA,2026-02-11 17:00:00,AAA260515C00090000,2026-05-15,call,90.0,12.4,12.6,12.5,,7.0,0.3,100.5,"
    "2026-02-10 15:12:47+00:00\n"
    "AAA,2026-02-11 17:00:00,AAA260515P00090000,2026-05-15,put,90.0,1.4,1.6,1.5,3.0,0.0,0.00001,100.5,"
    "2026-02-11 16:12:47+00:00\n"
)


def test_the_layout_of_a_provider_s_csv_is_read_by_its_names(tmp_path):
    path = tmp_path / "AAA_1.csv"
    path.write_text(LAYOUT, encoding="utf-8")
    [(kind, found)] = chains(path)
    assert kind is None and (found.underlying, found.price, found.captured) == ("AAA", 100.5, CAPTURED)
    rows = contract_table(found, "stock")
    call = rows.row(0, named=True)
    assert call["volume"] is None and call["open_interest"] == 7 and call["iv_provider"] == 0.3
    assert call["last_trade"] == dt.datetime(2026, 2, 10, 15, 12, 47, tzinfo=dt.UTC)
    assert rows["placeholder_iv"].to_list() == [False, True]
    assert rows["clean"].all() and not rows["foreign"].any()


def test_a_file_gives_the_same_chain_as_its_provider(tmp_path):
    given = chain()
    frame = given.contracts.with_columns(underlying=pl.lit("AAA"), captured=pl.lit(CAPTURED))
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_csv(tmp_path / "a.csv")
    wanted = with_values(contract_table(given, "stock"), 0.04).drop("underlying_price")
    for name in ("a.parquet", "a.csv"):
        [(_, found)] = chains(tmp_path / name)
        assert with_values(contract_table(found, "stock"), 0.04).drop("underlying_price").equals(wanted), name


def test_several_underlyings_and_snapshots_of_a_file_come_apart_the_oldest_first(tmp_path):
    later = CAPTURED + dt.timedelta(days=1)
    parts = [
        chain(name, captured=at).contracts.with_columns(
            ticker=pl.lit(name), quote_datetime=pl.lit(at), asset_class=pl.lit("etf")
        )
        for at in (later, CAPTURED)
        for name in ("AAA", "BBB")
    ]
    pl.concat(parts).write_parquet(tmp_path / "all.parquet")
    found = [(kind, each.underlying, each.captured) for kind, each in chains(tmp_path / "all.parquet")]
    assert sorted(found, key=lambda row: row[1:]) == [
        ("etf", name, at) for name in ("AAA", "BBB") for at in (CAPTURED, later)
    ]
    assert found[0][2] == CAPTURED


@pytest.mark.parametrize(
    ("captured", "kind", "expiry"),
    [
        ("2026-02-11T17:00:00Z", "C", "2026-05-15"),
        ("2026-02-11 12:00:00-05:00", "Call", "20260515"),
        ("2026-02-11 17:00", "CALLS", "05/15/2026"),
        ("2026-02-11 17:00:00.000", " c ", "2026-05-15"),
    ],
)
def test_ways_of_writing_times_dates_and_kinds(tmp_path, captured, kind, expiry):
    path = tmp_path / "x.csv"
    path.write_text(f"Symbol,Captured,Expiration,Right,Strike,Bid,Ask\nbrk.b,{captured},{expiry},{kind},90.5,1,2\n")
    [(_, found)] = chains(path)
    row = contract_table(found, "stock").row(0, named=True)
    assert found.captured == CAPTURED and found.underlying == "BRK.B"
    assert row["contract"] == "BRKB260515C00090500" and row["type"] == "call" and not row["malformed"]


def test_an_unreadable_value_becomes_null_and_sets_a_flag(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text(LAYOUT.replace("call,90.0", "call,ninety").replace("1.4,1.6", "1.4,oops"), encoding="utf-8")
    [(_, found)] = chains(path)
    rows = contract_table(found, "stock").sort("type")
    assert rows["malformed"].to_list() == [True, False] and rows["no_ask"].to_list() == [False, True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "chains need the columns underlying, captured, .*underlying, captured, .* not found among a, b"),
        ("", "can't be read"),
        (LAYOUT.replace("2026-02-11 17:00:00", "noon"), "2 rows have no underlying or no readable time of capture"),
    ],
)
def test_the_error_for_an_unusable_file_names_the_file_and_the_remedy(tmp_path, text, words):
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=f"bad.csv: .*{words}"):
        list(chains(path))


@pytest.mark.parametrize(("strike", "bid"), [('"$1,090.50"', "12.4"), ("1090.50", "$12.40"), ('"1,090.5"', '"12.40"')])
def test_thousands_and_signs_of_currencies_are_read_in_chains_too(tmp_path, strike, bid):
    path = tmp_path / "x.csv"
    path.write_text(LAYOUT.replace("call,90.0,12.4", f"call,{strike},{bid}"), encoding="utf-8")
    [(_, found)] = chains(path)
    row = contract_table(found, "stock").sort("type").row(0, named=True)
    assert (row["strike"], row["bid"]) == (1090.5, 12.4)


def test_expiries_with_the_day_first_are_refused_and_not_read_as_months(tmp_path):
    path = tmp_path / "x.csv"
    text = LAYOUT.replace("2026-05-15,call", "15/05/2026,call").replace("2026-05-15,put", "05/06/2026,put")
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FileError, match=r"row 1, column expiry: '15/05/2026' is no month, day and year"):
        list(chains(path))


def test_a_torn_parquet_file_raises_an_error(tmp_path):
    (tmp_path / "torn.parquet").write_bytes(b"PAR1....")
    with pytest.raises(FileError, match="torn.parquet: can't be read"):
        list(chains(tmp_path / "torn.parquet"))


def test_files_are_found_below_a_folder_and_others_are_not(tmp_path):
    for name in ("b.csv", "sub/a.parquet", "readme.md", "c.CSV.GZ"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert [path.name for path in files(tmp_path)] == ["b.csv", "c.CSV.GZ", "a.parquet"]
    assert files(tmp_path / "readme.md") == [tmp_path / "readme.md"]


def test_files_from_a_spreadsheet_and_with_any_name_are_read(tmp_path):
    path = tmp_path / "a [1]" / "AAA*1.csv".replace("*", "%")
    path.parent.mkdir()
    path.write_bytes(LAYOUT.replace(",", ";").encode("utf-16"))
    (tmp_path / "a [1]" / "._AAA.csv").write_bytes(b"x")
    assert files(tmp_path) == [path]
    [(_, found)] = chains(path)
    assert (found.underlying, found.price, found.captured) == ("AAA", 100.5, CAPTURED)
