"""Ten bars of one company, and the ways in which vendors write them."""

import datetime as dt

import polars as pl

DAYS = [dt.date(2021, 1, d) for d in (4, 5, 6, 7, 8, 11, 12, 13, 14, 15)]
OPEN = [100.0 + i for i in range(10)]
HIGH = [103.25 + i for i in range(10)]
LOW = [98.5 + i for i in range(10)]
CLOSE = [101.5 + i for i in range(10)]
VOLUME = [1000 + 10 * i for i in range(10)]
ADJ = [round(0.98 * c, 4) for c in CLOSE]
VALUES = {"open": OPEN, "high": HIGH, "low": LOW, "close": CLOSE, "volume": VOLUME, "adj_close": ADJ}


def nanoseconds(day):
    return int(dt.datetime(day.year, day.month, day.day, 5, tzinfo=dt.UTC).timestamp()) * 1_000_000_000


def milliseconds(day):
    return int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC).timestamp()) * 1000


def lines(header, row, separator=",", newest_first=False):
    """A text of the bars: its header, and `row(i)` for each of them."""
    rows = [separator.join(str(cell) for cell in row(i)) for i in range(10)]
    return "\n".join([*([header] if header else []), *(reversed(rows) if newest_first else rows)]) + "\n"


def yahoo_page():
    """Yahoo's table of history as copied: newest first, events below the bar of their day."""
    rows = []
    for i in reversed(range(10)):
        day = DAYS[i].strftime('"%b %d, %Y"')
        rows.append(f'{day},{OPEN[i]},{HIGH[i]},{LOW[i]},{CLOSE[i]},{ADJ[i]},"{VOLUME[i]:,}"')
        rows += [f"{day},0.24 Dividend,,,,,"] if i == 4 else []
        rows += [f"{day},2:1 Stock Splits,,,,,"] if i == 7 else []
    return "Date,Open,High,Low,Close*,Adj Close**,Volume\n" + "\n".join(rows) + "\n"


def yfinance(*tickers, group="column", names=("Price", "Ticker"), third="Date", cells=None):
    """``yf.download(tickers).to_csv()``: two or three lines of header."""
    fields = ("Close", "High", "Low", "Open", "Volume")
    pairs = (
        [(f, t) for f in fields for t in tickers] if group == "column" else [(f, t) for t in tickers for f in fields]
    )
    first, second = [f for f, _ in pairs], [t for _, t in pairs]
    if group != "column":
        first, second = second, first
    head = [",".join([names[0], *first]), ",".join([names[1], *second])]
    head += [third + "," * len(pairs)] if third else []
    scale = {ticker: n + 1 for n, ticker in enumerate(tickers)}
    rows = []
    for i, day in enumerate(DAYS):
        values = [VALUES[f.lower()][i] * (scale[t] if f != "Volume" else 1) for f, t in pairs]
        rows.append(
            ",".join(
                [str(day), *(cells(i, t, v) if cells else str(v) for v, (_, t) in zip(values, pairs, strict=True))]
            )
        )
    return "\n".join([*head, *rows]) + "\n"


def _ohlc(i):
    return OPEN[i], HIGH[i], LOW[i], CLOSE[i]


def binance(i):
    return [
        milliseconds(DAYS[i]),
        *_ohlc(i),
        VOLUME[i],
        milliseconds(DAYS[i]) + 86_399_999,
        1e5,
        12,
        5,
        5e4,
        0,
    ]


LAYOUTS = {
    "nasdaq.com": lines(
        "Date,Close/Last,Volume,Open,High,Low",
        lambda i: [DAYS[i].strftime("%m/%d/%Y"), f"${CLOSE[i]}", VOLUME[i], f"${OPEN[i]}", f"${HIGH[i]}", f"${LOW[i]}"],
        newest_first=True,
    ),
    "investing.com": "\ufeff" + lines(
        '"Date","Price","Open","High","Low","Vol.","Change %"',
        lambda i: [f'"{cell}"' for cell in (DAYS[i].strftime("%m/%d/%Y"), CLOSE[i], OPEN[i], HIGH[i], LOW[i],
                                             f"{VOLUME[i] / 1000:.2f}K", "0.12%")],
        newest_first=True,
    ),
    "NSE": "\ufeff" + lines(
        ",".join(f'"{name} "' for name in ("Date", "series", "OPEN", "HIGH", "LOW", "PREV. CLOSE", "ltp", "close",
                                           "vwap", "52W H", "52W L", "VOLUME", "VALUE")),
        lambda i: [f'"{cell}"' for cell in (DAYS[i].strftime("%d-%b-%Y"), "EQ", OPEN[i], HIGH[i], LOW[i], CLOSE[i] - 1,
                                             CLOSE[i] + 0.1, CLOSE[i], 101, 200, 50, f"{VOLUME[i]:,}", "1,23,456.50")],
        newest_first=True,
    ),
    "NSE, older": lines(
        "Date ,Open Price,High Price,Low Price,Last Price,Close Price,Average Price,Total Traded Quantity,Turnover",
        lambda i: [DAYS[i].strftime("%d-%b-%Y"), OPEN[i], HIGH[i], LOW[i], CLOSE[i] + 0.1, CLOSE[i], 101, VOLUME[i],
                   1e6],
    ),
    "Binance": lines("", binance),
    "Binance in microseconds": lines("", lambda i: [milliseconds(DAYS[i]) * 1000, *binance(i)[1:]]),
    "Binance with names": lines(
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore",
        binance,
    ),
    "Kraken": lines("", lambda i: [milliseconds(DAYS[i]) // 1000, *_ohlc(i), VOLUME[i], 7]),
    "Coinbase": lines("", lambda i: [milliseconds(DAYS[i]) // 1000, LOW[i], HIGH[i], OPEN[i], CLOSE[i], VOLUME[i]]),
    "Coinbase with names": lines(
        "time,low,high,open,close,volume",
        lambda i: [milliseconds(DAYS[i]) // 1000, LOW[i], HIGH[i], OPEN[i], CLOSE[i], VOLUME[i]],
    ),
    "Stooq, one symbol": lines("Date,Open,High,Low,Close,Volume", lambda i: [DAYS[i], *_ohlc(i), VOLUME[i]]),
    "Alpha Vantage": lines(
        "timestamp,1. open,2. high,3. low,4. close,5. volume", lambda i: [DAYS[i], *_ohlc(i), VOLUME[i]],
        newest_first=True,
    ),
    "EODHD": lines(
        "Date,Open,High,Low,Close,Adjusted_close,Volume", lambda i: [DAYS[i], *_ohlc(i), ADJ[i], VOLUME[i]]
    ),
    "TradingView": lines(
        "time,open,high,low,close,Volume", lambda i: [milliseconds(DAYS[i]) // 1000, *_ohlc(i), VOLUME[i]]
    ),
    "MetaTrader 5": lines(
        "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>",
        lambda i: [DAYS[i].strftime("%Y.%m.%d"), "00:00:00", *_ohlc(i), 5, VOLUME[i], 1], "\t",
    ),
    "MetaTrader 4": lines("", lambda i: [DAYS[i].strftime("%Y.%m.%d"), "00:00", *_ohlc(i), VOLUME[i]]),
    "Kaggle": lines("Date,Open,High,Low,Close,Volume,OpenInt", lambda i: [DAYS[i], *_ohlc(i), VOLUME[i], 0]),
    "pandas, an index without a name": lines(",Open,High,Low,Close,Volume", lambda i: [DAYS[i], *_ohlc(i), VOLUME[i]]),
    "pandas, a numbered index": lines(
        ",Date,Open,High,Low,Close,Volume", lambda i: [i, DAYS[i], *_ohlc(i), VOLUME[i]]
    ),
    "German": lines(
        "Datum;Erster;Hoch;Tief;Schlusskurs;Volumen".replace("Erster", "Eröffnung"),
        lambda i: [DAYS[i].strftime("%d.%m.%Y"), *(f"{v:.2f}".replace(".", ",") for v in _ohlc(i)), VOLUME[i]], ";",
    ),
    "Barchart": lines(
        "Time,Open,High,Low,Last,Change,%Chg,Volume",
        lambda i: [DAYS[i].strftime("%m/%d/%Y"), *_ohlc(i), 0.5, "0.5%", VOLUME[i]], newest_first=True,
    ) + '"Downloaded from Barchart.com as of 01-16-2021"\n',
    "Refinitiv": "AAA.N\nHistory\n\n" + lines(
        "Exchange Date,Close,Net,%Chg,Open,Low,High,Volume,Turnover - USD",
        lambda i: [DAYS[i].strftime("%d-%b-%Y"), CLOSE[i], 1, "1%", OPEN[i], LOW[i], HIGH[i], VOLUME[i], 1e6],
        newest_first=True,
    ),
    "Yahoo's page": yahoo_page(),
}  # fmt: skip
"""Files of one instrument by vendor; all of them hold the same bars."""

TABLES = {
    "Polygon": lines(
        "ticker,volume,open,close,high,low,window_start,transactions",
        lambda i: ["AAA", VOLUME[i], OPEN[i], CLOSE[i], HIGH[i], LOW[i], nanoseconds(DAYS[i]), 9],
    ),
    "NSE bhavcopy": lines(
        "SYMBOL,SERIES,OPEN,HIGH,LOW,CLOSE,LAST,PREVCLOSE,TOTTRDQTY,TOTTRDVAL,TIMESTAMP,TOTALTRADES,ISIN,",
        lambda i: ["AAA", "EQ", *_ohlc(i), CLOSE[i] + 0.1, CLOSE[i] - 1, VOLUME[i], 1e6,
                   DAYS[i].strftime("%d-%b-%Y").upper(), 9, "INE000A01001", ""],
    ) + "AAA,N1,1000,1001,999,1000,1000,1000,5,5000,06-JAN-2021,1,INE000A07001,\n",
    "CryptoDataDownload": "https://www.CryptoDataDownload.com\n" + lines(
        "unix,date,symbol,open,high,low,close,Volume AAA,Volume USD",
        lambda i: [milliseconds(DAYS[i]) // 1000, f"{DAYS[i]} 00:00:00", "AAA", *_ohlc(i), VOLUME[i], 1e7],
        newest_first=True,
    ),
    "Stooq": lines(
        "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>",
        lambda i: ["AAA", "D", DAYS[i].strftime("%Y%m%d"), "000000", *_ohlc(i), VOLUME[i], 0],
    ),
    "Kaggle's S&P 500": lines("date,open,high,low,close,volume,Name", lambda i: [DAYS[i], *_ohlc(i), VOLUME[i], "AAA"]),
    "pandas, stacked": lines(
        "Date,Ticker,Close,High,Low,Open,Volume",
        lambda i: [DAYS[i], "AAA", CLOSE[i], HIGH[i], LOW[i], OPEN[i], VOLUME[i]],
    ),
}  # fmt: skip
"""Tables with a column for the symbol, all with the same bars of AAA."""


def frame():
    """The bars under our names."""
    return pl.DataFrame({"date": DAYS} | VALUES)
