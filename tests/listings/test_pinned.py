"""The pinned list: dated, read as text, honest about how it was made; and the one that is shipped."""

import datetime as dt

import polars as pl
import pytest

from src.config.compose import compose
from src.core.errors import ConfigError, StageError
from src.listings.directory import FILES, entries
from src.listings.pinned import COLUMNS, SHIPPED, PinnedList, difference, read, replaced, write
from src.market.universe import follows
from tests.market_case import MARKET

DAY = dt.date(2025, 7, 21)
LIMITS = {"stock": 5, "etf": 0, "crypto": 2}


def rows(*names: str) -> pl.DataFrame:
    """Rows such as stock:A:5 (dollars may be empty), ranked as given."""
    parts = [name.split(":") for name in names]
    made = [
        (kind, symbol, n, float(dollars) if dollars else None) for n, (kind, symbol, dollars) in enumerate(parts, 1)
    ]
    return pl.DataFrame(made, schema=COLUMNS, orient="row")


def pinned(*names: str) -> PinnedList:
    return PinnedList(DAY, "measured", rows(*names))


def test_what_is_written_is_read(tmp_path):
    path = str(tmp_path / "list.csv")
    made = PinnedList(
        DAY, "median: of a year, measured", rows("stock:NA:9", "stock:TRUE:", "etf:NAN:3", "crypto:BTC-USD:1e9")
    )
    write(made, path)
    back = read(path)
    assert back.made == DAY and back.origin == made.origin
    assert back.rows.sort("rank").equals(made.rows)
    assert (tmp_path / "list.csv").read_text(encoding="utf-8").splitlines()[:4] == [
        "# made: 2025-07-21",
        "# origin: median: of a year, measured",
        "asset_class,symbol,rank,dollar_volume",
        "stock,NA,1,9",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("asset_class,symbol,rank,dollar_volume\nstock,A,1,\n", "must begin with '# made: YYYY-MM-DD'"),
        ("# made: today\nasset_class,symbol,rank,dollar_volume\n", "must begin with '# made: YYYY-MM-DD'"),
        ("# made: 2025-07-21\nsymbol\nA\n", "have the columns asset_class, symbol, rank, dollar_volume"),
        ("# made: 2025-07-21\nasset_class,symbol,rank,dollar_volume\nstock,A,first,\n", "invalid literal"),
        (
            "# made: 2025-07-21\nasset_class,symbol,rank,dollar_volume\nbond,A,1,\n",
            "an unknown asset class: bond:A",
        ),
        (
            "# made: 2025-07-21\nasset_class,symbol,rank,dollar_volume\netf,A,1,\netf,A,2,\n",
            "an instrument twice: etf:A",
        ),
    ],
)
def test_a_list_of_another_form_is_refused_with_the_remedy(tmp_path, text, words):
    path = tmp_path / "list.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"universe.pinned: .*{words}.*python -m src.enlist writes it again"):
        read(str(path))


def test_an_absent_list_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(ConfigError, match="can't be read.*python -m src.enlist"):
        read(str(tmp_path / "none.csv"))


def test_a_class_that_could_not_be_ranked_keeps_its_former_rows_and_says_so():
    former = pinned("stock:A:1", "crypto:BTC-USD:1")
    made = replaced(former, PinnedList(dt.date(2026, 1, 1), "today", rows("stock:B:2")), LIMITS)
    assert made.rows["symbol"].to_list() == ["B", "BTC-USD"]
    assert made.origin == "today; crypto as listed on 2025-07-21"
    assert difference(former, made) == "1 stocks, 0 ETFs, 1 coins; since 2025-07-21 1 came and 1 went"
    assert difference(None, made) == "1 stocks, 0 ETFs, 1 coins"


def test_a_class_that_has_shrunk_is_not_believed():
    former = pinned(*(f"stock:S{n}:1" for n in range(10)))
    with pytest.raises(StageError, match="only 3 of 5 of class stock could be ranked: the former list stays"):
        replaced(former, pinned("stock:A:1", "stock:B:1", "stock:C:1"), LIMITS)
    assert replaced(former, pinned(*(f"stock:T{n}:1" for n in range(4))), LIMITS).rows.height == 4


def test_the_shipped_list_is_whole_and_quick_takes_it():
    shipped = read(SHIPPED)
    assert dict(shipped.rows.group_by("asset_class").len().rows()) == {"stock": 500, "etf": 200, "crypto": 20}
    for kind in ("stock", "etf", "crypto"):
        part = shipped.rows.filter(asset_class=kind)
        assert part["rank"].to_list() == list(range(1, part.height + 1))
    assert shipped.rows["symbol"].n_unique() == 720
    assert shipped.rows.filter(asset_class="crypto")["symbol"].str.ends_with("-USD").all()
    assert not [row for row in shipped.rows.select("asset_class", "symbol").rows() if follows(*row)]
    assert "biased upward" in shipped.origin
    quick = compose(["universe=quick"]).universe
    assert quick.pinned == SHIPPED and (quick.stock, quick.etf, quick.crypto) == (500, 200, 20)


@pytest.mark.skipif(not MARKET.exists(), reason="no real directory here")
def test_every_stock_and_etf_of_the_shipped_list_is_in_a_real_directory_and_of_its_class():
    texts = {file: next((MARKET / "symbols").glob(f"{file}_*.txt")).read_text(encoding="utf-8") for file in FILES}
    real = pl.concat([entries(text, file) for file, text in texts.items()])
    shipped = read(SHIPPED).rows.filter(pl.col("asset_class") != "crypto")
    assert shipped.join(real, on=["asset_class", "symbol"], how="anti").height == 0
    assert set(shipped.join(real, on=["asset_class", "symbol"])["type"]) == {"common", "adr", "etf"}
