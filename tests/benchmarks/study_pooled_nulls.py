"""How often scores without skill get a small p-value in the pooled scope, on real or simulated returns, without a fit.

Five kinds of scores without skill are traded and graded by the neutral portfolio: slow noise of each name; noise with a
level of each name; noise that bets on volatility, size and beta for months; and sums of eight real features with random
weights, of other names on the same days, or of the same names at other times. The last two keep what stocks of an
industry have in common. Two scores with an edge follow, made from the label itself.

    python -m tests.benchmarks.study_pooled_nulls bars.parquet --nulls 200
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from scipy.signal import lfilter

from src.config.schema import EligibilityConfig, GradeConfig, LabelConfig, PortfolioConfig
from src.core.arrays import BoolArray, FloatArray, Matrix
from src.evaluation.grade import Thresholds
from src.evaluation.pooled.assessment import assess_pooled
from src.evaluation.pooled.eligibility import eligible
from src.evaluation.pooled.evidence import among_draws, block_days, displaced, over_time
from src.evaluation.pooled.graded_days import GradedDays, PooledRun
from src.evaluation.pooled.inference import stationary_bootstrap
from src.evaluation.pooled.information import daily_information
from src.evaluation.pooled.luck import draws, gate_values
from src.evaluation.pooled.neutralising import StyleBasis, style_basis
from src.evaluation.pooled.styles import Styles, styles
from src.evaluation.pooled.targets import Targets, targets
from src.evaluation.significance import p_value, z_score
from src.market.cross_section import CrossSection, cross_section

LIMITS = (0.05, 0.01)
P_VALUES = {
    "p_value": "AUC",
    "among_draws": "AUC among draws alone",
    "sharpe_p_value": "Sharpe",
    "sharpe_among_draws": "Sharpe among draws alone",
    "gross_p": "gross return, blocks",
    "net_p": "net return, blocks",
    "ic_p": "IC, Newey-West",
}
EASY = Thresholds({"min_auc": 0.5, "min_accuracy": 0.5, "min_sharpe": -1.0, "max_drawdown": 1.0}, 1, 1)
LABEL = LabelConfig(name="neutral_20", kind="neutral", horizon=20, params={"clip": 0.5})
FIRST = 630  # sessions before the out-of-sample days
AWAY = 250  # days that rotated features are moved by at least


@dataclass(frozen=True)
class Bench:
    """A class's cross-section, and the rows that are graded."""

    section: CrossSection
    eligible: BoolArray
    styles: Styles
    targets: Targets
    days: slice
    features: list[Matrix]
    basis: StyleBasis

    @property
    def shape(self) -> tuple[int, int]:
        """Days out of sample and names."""
        return self.days.stop - self.days.start, self.section.shape[1]

    def run(self, scores: FloatArray | Matrix) -> PooledRun:
        """Scores of the out-of-sample days as a pooled run."""
        return PooledRun(self.section, self.eligible, self.styles, self.targets, scores.astype(np.float32), self.days)


def bench(section: CrossSection, eligibility: EligibilityConfig, first: int = FIRST) -> Bench:
    """Compute once what all scores are graded on."""
    chosen = eligible(section, eligibility)
    known = styles(section, chosen, eligibility)
    outcome = targets(section, chosen, known, LABEL, eligibility)
    days = slice(first, section.shape[0] - 2)
    return Bench(section, chosen, known, outcome, days, features(section, chosen), style_basis(chosen, known, days))


def from_parquet(path: Path) -> CrossSection:
    """Stocks of a file of daily bars with adjusted closes."""
    bars = pl.read_parquet(path).filter(pl.col("asset_class") == "stock", pl.col("close") > 0)
    factor = pl.col("adj_close").cast(pl.Float64) / pl.col("close")
    return cross_section([bars.with_columns(factor=factor, split=pl.lit(1.0), repaired=pl.lit(False))], "stock")


def random_walks(days: int = 1500, names: int = 150, seed: int = 0) -> CrossSection:
    """Random walks with one common factor, several betas and volatilities."""
    rng = np.random.default_rng(seed)
    beta, sigma = rng.uniform(0.5, 1.5, names), rng.uniform(0.008, 0.03, names)
    close = 50.0 * np.exp(
        np.cumsum(rng.normal(0.0002, 0.008, (days, 1)) * beta + rng.normal(size=(days, names)) * sigma, axis=0)
    )
    ones = np.ones((days, names), dtype=np.float32)
    return CrossSection(
        asset_class="stock",
        dates=np.datetime64("2015-01-01") + np.arange(days),
        symbols=tuple(f"N{i:04}" for i in range(names)),
        bars_per_year=252.0,
        open=close * np.exp(rng.normal(0.0, 0.002, (days, names))),
        close=close,
        dollar_volume=ones * 1e7 * rng.uniform(0.5, 5.0, names).astype(np.float32),
        traded_price=close.astype(np.float32),
        half_spread=ones * 0,
        last=np.full(names, days - 1, dtype=np.int64),
    )


def features(section: CrossSection, chosen: BoolArray) -> list[Matrix]:
    """Returns over several windows, distance from the high, and changes of volatility and volume, as ranks of a day."""
    price = pl.DataFrame(np.log(section.close)).fill_nan(None).select(pl.all().forward_fill())
    volume = pl.DataFrame(np.log1p(section.dollar_volume.astype(np.float64))).fill_nan(None)
    step = price.select(pl.all().diff())
    raw = [price.select(pl.all().diff(n)) for n in (5, 20, 60, 250)]
    raw.append(price.select(pl.all() - pl.all().rolling_max(250, min_samples=60)))
    raw.append(step.select(pl.all().rolling_std(20, min_samples=10) / pl.all().rolling_std(120, min_samples=60)))
    raw.append(volume.select(pl.all().rolling_mean(10, min_samples=5) - pl.all().rolling_mean(120, min_samples=60)))
    raw.append(step.select(pl.all().rolling_max(20, min_samples=10)))
    return [_day_ranks(table.to_numpy().astype(np.float64), chosen) for table in raw]


def _day_ranks(values: FloatArray, chosen: BoolArray) -> Matrix:
    out = np.zeros(values.shape, dtype=np.float32)
    for day in range(values.shape[0]):
        names = np.flatnonzero(chosen[day] & np.isfinite(values[day]))
        out[day, names[np.argsort(values[day, names])]] = np.linspace(-0.5, 0.5, names.size)
    return out


def _walk(rho: float, size: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    noise = rng.normal(size=size) * np.sqrt(1.0 - rho**2)
    noise[0] /= np.sqrt(1.0 - rho**2)
    walked: FloatArray = lfilter([1.0], [1.0, -rho], noise, axis=0)
    return walked


def slow(of: Bench, rng: np.random.Generator) -> FloatArray:
    """AR(1) of each name, 0.97 a day."""
    return _walk(0.97, of.shape, rng)


def levels(of: Bench, rng: np.random.Generator) -> FloatArray:
    """AR(1) with a level of each name that stays."""
    return _walk(0.95, of.shape, rng) + rng.normal(size=of.shape[1])


def styled(of: Bench, rng: np.random.Generator) -> FloatArray:
    """AR(1) with bets on the ranks of beta, volatility and size, which turn over months."""
    out = _walk(0.95, of.shape, rng)
    for table in (of.styles.beta, of.styles.volatility, of.styles.dollar_volume):
        out += 4.0 * _walk(0.99, (of.shape[0], 1), rng) * _day_ranks(table[of.days], of.eligible[of.days])
    return out


def shuffled(of: Bench, rng: np.random.Generator) -> FloatArray:
    """Features of other names on the same days, with random weights."""
    giver = rng.permutation(of.shape[1])
    return sum(w * table[of.days][:, giver] for w, table in zip(rng.normal(size=8), of.features, strict=True))


def rotated(of: Bench, rng: np.random.Generator) -> FloatArray:
    """Features of the same names on other days, with random weights."""
    shift = int(rng.integers(AWAY, of.shape[0] - AWAY)) if of.shape[0] > 2 * AWAY else of.shape[0] // 2
    weighted = zip(rng.normal(size=8), of.features, strict=True)
    return sum(w * np.roll(table[of.days], shift, axis=0) for w, table in weighted)


KINDS: dict[str, Callable[[Bench, np.random.Generator], FloatArray]] = {
    "slow noise": slow,
    "levels": levels,
    "style bets": styled,
    "shuffled features": shuffled,
    "rotated features": rotated,
}


def planted(of: Bench, coefficient: float, rng: np.random.Generator) -> FloatArray:
    """AR(1) scores whose correlation with the label's value is about the coefficient."""
    return _walk(0.95, of.shape, rng) + coefficient * np.nan_to_num(of.targets.value[of.days])


def graded(of: Bench, scores: FloatArray, choice: PortfolioConfig, gate: GradeConfig, seed: int) -> dict[str, float]:
    """P-values of scores by the product's own functions; whether they pass easy thresholds, and how often draws do."""
    days = GradedDays(of.run(scores), choice, EligibilityConfig().delisting_return)
    held = days.trade(days.run.scores)
    values = gate_values(days.tally(days.codes, days.scored), held.net, days.run.section.bars_per_year)
    drawn = draws(days, displaced(days, gate, seed), EASY)
    daily = daily_information(of.basis.residuals(days.run.scores), of.targets.value[of.days])
    information = pl.Series(daily).fill_nan(None)
    figures = values | {"n_oos": held.net.size}
    found = among_draws(figures, drawn, days, held.gross, gate, seed)
    found |= over_time(days, held.net, information, gate, 1, seed)
    gross = stationary_bootstrap(held.gross, block_days(days), days.run.section.bars_per_year, seed)
    return {
        **found,
        **values,
        "among_draws": p_value(found["z"], drawn.auc),
        "sharpe_among_draws": p_value(z_score(values["sharpe"], drawn.sharpe), drawn.sharpe),
        "gross_p": gross.p,
        "passed": EASY.cleared_by(values),
        "turnover": float(held.turnover.mean()),
    }


def table(rows: pl.DataFrame) -> Iterator[str]:
    """Yield the lines of a table in Markdown: shares of small p-values, over nominal, and passes beside luck."""
    titles = " | ".join(f"{title}: .05 | .01" for title in P_VALUES.values())
    yield f"| scores | runs | {titles} | passed | expected | turnover, of draws |"
    yield "|---" * (5 + 2 * len(P_VALUES)) + "|"
    for kind in [*rows["kind"].unique(maintain_order=True), None]:
        part = rows if kind is None else rows.filter(pl.col("kind") == kind)
        shares = [f"{(part[name] <= limit).mean() / limit:.2f}" for name in P_VALUES for limit in LIMITS]
        held, drawn = part["turnover"].mean(), part["luck_turnover"].mean()
        luck = f"{part['passed'].sum()} | {part['luck_rate'].sum():.1f} | {held:.3f}, {drawn:.3f}"
        yield f"| {kind or 'all'} | {part.height} | {' | '.join(shares)} | {luck} |"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bars", nargs="?", type=Path, help="file of daily bars; default: random walks")
    parser.add_argument("--nulls", type=int, default=200, help="scores without skill, of all kinds together")
    parser.add_argument("--draws", type=int, default=16, help="displaced scores that each is compared with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="file for one line of JSON a run")
    asked = parser.parse_args()
    of = bench(from_parquet(asked.bars) if asked.bars else random_walks(), EligibilityConfig())
    gate, choice = GradeConfig(common_shifts=asked.draws), PortfolioConfig()
    print(f"{of.shape[0]:,} days out of sample, {of.shape[1]:,} names", flush=True)  # noqa: T201
    rows = []
    for number in range(asked.nulls):
        kind = list(KINDS)[number % len(KINDS)]
        rng = np.random.default_rng([asked.seed, number])
        rows.append({"kind": kind, **graded(of, KINDS[kind](of, rng), choice, gate, number)})
        if asked.out:
            asked.out.write_text(pl.DataFrame(rows).write_ndjson(), encoding="utf-8")
    for line in table(pl.DataFrame(rows)):
        print(line, flush=True)  # noqa: T201
    for coefficient in (0.03, 0.06):
        run = of.run(planted(of, coefficient, np.random.default_rng(asked.seed)))
        values = assess_pooled(run, choice, EligibilityConfig(), replace(gate), trials=66, seed=1).values
        shown = ("ic", "auc", "accuracy", "sharpe", "max_drawdown", "p_value", "sharpe_p_value", "net_p", "ic_p")
        shown = (*shown, "luck_rate", "adjusted_t", "passed")
        print(f"planted {coefficient:g}: " + ", ".join(f"{name} {values[name]:.3g}" for name in shown))  # noqa: T201


if __name__ == "__main__":
    main()
