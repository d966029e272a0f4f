"""Bars up to one row, and the plain statistics from which the oracles are written."""

import numpy as np
import polars as pl

from src.core.project import ROOT
from src.features.registry import MEMBERS
from src.hydration.validation import validate
from src.market.bars import PRICES
from tests.features.series import lively, market


class Past:
    """What is known at a row: arrays end there. Total-return prices; log returns, r its own and m the panel's."""

    def __init__(self, bars: pl.DataFrame, panel: pl.DataFrame, at: int) -> None:
        known = bars[: at + 1]
        factor = known["factor"].to_numpy()
        self.o, self.h, self.l, self.c = (known[name].to_numpy() * factor for name in ("open", "high", "low", "close"))
        self.v, self.money = known["volume"].to_numpy(), (known["close"] * known["volume"]).to_numpy()
        self.traded = (known["close"] * known["split"]).to_numpy()
        self.dates = known["date"].to_list()
        before = np.r_[np.nan, self.c[:-1]]
        self.r, self.night, self.day = np.log(self.c / before), np.log(self.o / before), np.log(self.c / self.o)
        self.m = np.r_[np.nan, np.log1p(panel["market_return"].to_numpy())[1 : at + 1]]
        self.dispersion, self.csad, self.breadth = (
            panel[name].to_numpy()[: at + 1] for name in ("dispersion", "csad", "breadth")
        )
        self.members = {name: panel[name].to_numpy()[: at + 1] for name in MEMBERS}
        self.tr = np.array([np.nan] + [
            max(self.h[k], self.c[k - 1]) - min(self.l[k], self.c[k - 1]) for k in range(1, len(self.c))
        ])  # fmt: skip
        self.typical = (self.h + self.l + self.c) / 3

    def back(self, bars: int) -> "Past":
        """What was known `bars` bars earlier."""
        other = object.__new__(Past)
        other.__dict__ = {
            name: values[: len(values) - bars] for name, values in self.__dict__.items() if name != "members"
        }
        return other


def leaning(seed: int, drift: float) -> pl.DataFrame:
    """Lively bars that rise or fall by `drift` a bar (log)."""
    lift = (pl.int_range(pl.len()) * drift).exp()
    return lively(700, seed).with_columns(pl.col(*PRICES) * lift)


def gapped(seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lively bars of which 60 are missing in two stretches, and the panel of the days that are left."""
    here = pl.int_range(pl.len())
    left = ~(here.is_between(300, 339) | here.is_between(500, 519))
    return lively(760, seed).filter(left), market(760, seed + 50).filter(left)


MARKET = ROOT.parent / "shared" / "market" / "bars.parquet"


def real(symbol: str) -> pl.DataFrame:
    """Bars of a real stock, validated, on the days of the invented panel."""
    raw = pl.scan_parquet(MARKET).filter(pl.col("symbol") == symbol, pl.col("asset_class") == "stock").collect()
    return validate(raw)[0].tail(700).with_columns(lively(700)["date"], split=pl.lit(1.0))


SERIES = {
    1: (lively(700, 1), market(700, 51)),
    2: (lively(700, 2), market(700, 52)),
    3: (leaning(3, 0.004), market(700, 53)),
    4: (leaning(4, -0.004), market(700, 54)),
    5: gapped(5),
}
if MARKET.is_file():
    SERIES[6] = (real("EBAY"), market(700, 56))
ROWS = (260, 395, 396, 450, 523, 610, 666, 699)


def pasts(first: int) -> list[tuple[int, int, Past]]:
    """Sampled rows of the test series from row `first` on: (seed, row, what is known there)."""
    rows = [row for row in (*range(first, 250, 40), *ROWS) if row >= first]
    return [(seed, row, Past(*SERIES[seed], row)) for seed in SERIES for row in rows]


def sd(x: np.ndarray) -> float:
    return float(np.std(x, ddof=1))


def corr(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.corrcoef(x, y)[0, 1])


def ols(y: np.ndarray, *x: np.ndarray) -> np.ndarray:
    """Intercept and slopes by NumPy's least squares."""
    return np.linalg.lstsq(np.column_stack([np.ones(len(y)), *x]), y, rcond=None)[0]


def sign(r: np.ndarray) -> np.ndarray:
    return np.array([0.0 if abs(each) <= 1e-6 else float(np.sign(each)) for each in r])


def wilder(x: np.ndarray, bars: int) -> float:
    """Wilder's moving average, started by a plain mean of the first `bars`."""
    value = float(np.mean(x[:bars]))
    for each in x[bars:]:
        value += (each - value) / bars
    return value


def ema(x: np.ndarray, bars: int) -> np.ndarray:
    """Exponential moving average with alpha 2 / (n + 1), started by a plain mean: its values from there on."""
    out = [float(np.mean(x[:bars]))]
    for each in x[bars:]:
        out.append(out[-1] + 2 / (bars + 1) * (each - out[-1]))
    return np.array(out)


def residuals(p: Past, bars: int) -> np.ndarray:
    """Returns less the beta of the 63 bars before each times the panel's."""
    out = []
    for back in range(bars - 1, -1, -1):
        then, before = p.back(back), p.back(back + 1)
        out.append(then.r[-1] - ols(before.r[-63:], before.m[-63:])[1] * then.m[-1])
    return np.array(out)
