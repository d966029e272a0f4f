"""Crowd: herding, dispersion, beta, and what the instrument does apart from its class's pinned panel."""

from __future__ import annotations

import math

import numpy as np

from src.features.moments import correlation, covariance, deviation, standardised_slope
from src.features.panel_lookup import Members, share_below
from src.features.registry import family, feature
from src.features.windows import Array, lag, mean, streak, total

FAMILY = family("crowd", group="behavioral", order=110)


@feature(FAMILY, window=64, source="Sharpe (1964), Capital asset prices, JF 19:425")
def beta_63(market_beta: Array) -> Array:
    """Least-squares slope of 63 log returns on the panel's.

    Returns
    -------
    float64, shape (bars,), any sign
        1 where the instrument moves as the panel does. NaN without a panel, or more than ten days after its
        last day.
    """
    return market_beta.copy()


@feature(FAMILY, window=127, source="Ang, Chen and Xing (2006), Downside risk, RFS 19:1191")
def downside_beta_126(log_return: Array, market_return: Array) -> Array:
    """Least-squares slope of log returns on the panel's over those of 126 bars in which the panel fell.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where the panel fell in fewer than two bars of the window. NaN without a panel, or more than ten
        days after its last day.
    """
    fell = np.where(market_return < 0, 1.0, 0.0 * market_return)
    count = total(fell, 126)
    own, crowd = total(fell * log_return, 126) / count, total(fell * market_return, 126) / count
    product = total(fell * log_return * market_return, 126) / count - own * crowd
    return product / (total(fell * market_return**2, 126) / count - crowd**2)


@feature(FAMILY, bars=(63,), window=lambda bars: bars + 1, source="Roll (1988), R2, JF 43:541")
def market_correlation(log_return: Array, market_return: Array, bars: int) -> Array:
    """Correlation of n log returns with the panel's.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        NaN where the price does not move in the window. NaN without a panel, or more than ten days after its
        last day.
    """
    return correlation(log_return, market_return, bars)


@feature(FAMILY, window=65, source="Lehmann (1990), Fads, martingales and market efficiency, QJE 105:1")
def residual_return(residual: Array, sigma_63: Array) -> Array:
    """Log return less beta (of the bars before) x the panel's, in standard deviations of 63 returns.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where the price does not move in the window. NaN without a panel, or more than ten days after its
        last day.
    """
    return residual / sigma_63


@feature(FAMILY, window=190, source="Blitz, Huij and Martens (2011), Residual momentum, J. Empirical Finance 18:506")
def residual_momentum_126(residual: Array) -> Array:
    """Mean over standard deviation of 126 residual returns.

    Returns
    -------
    float64, shape (bars,), any sign
        Per bar, not annualised. NaN where the price does not move in the window. NaN without a panel, or more
        than ten days after its last day.
    """
    return mean(residual, 126) / deviation(residual, 126)


@feature(FAMILY, bars=(21,), window=lambda bars: bars + 1, source="Levy (1967), Relative strength, JF 22:595")
def relative_strength(relative_return: Array, bars: int) -> Array:
    """Mean over standard deviation of n log returns less the panel's.

    Returns
    -------
    float64, shape (bars,), any sign
        Per bar, not annualised. NaN without a panel, or more than ten days after its last day.
    """
    return mean(relative_return, bars) / deviation(relative_return, bars)


@feature(FAMILY, bars=(1, 5), window=lambda bars: bars + 1, source="Jegadeesh (1990), Predictable behavior, JF 45:881")
def cross_section_z(relative_return: Array, market_dispersion: Array, bars: int) -> Array:
    """Mean over n bars of (log return - the panel's) / the panel's cross-sectional standard deviation that day.

    Returns
    -------
    float64, shape (bars,), any sign
        In standard deviations of the panel's returns on the day. NaN without a panel, or more than ten days
        after its last day.
    """
    return mean(relative_return / market_dispersion, bars)


@feature(
    FAMILY, window=64, source="Chang, Cheng and Khorana (2000), Herd behavior in equity markets, JBF 24:1651, eq. 3"
)
def herding_63(market_csad: Array, market_return: Array) -> Array:
    """Standardised g2 of CSAD = a + g1 |Rm| + g2 Rm^2 over 63 bars: negative where the crowd closes ranks in big moves.

    CSAD is the panel's mean absolute deviation from its mean return; g2 is scaled by sd(Rm^2) / sd(CSAD).

    Returns
    -------
    float64, shape (bars,), any sign
        The same for all instruments that trade on the panel's days. NaN without a panel, or more than ten days
        after its last day.
    """
    squared = market_return**2
    return standardised_slope(market_csad, squared, np.abs(market_return), 63)


@feature(FAMILY, window=126, source="Stivers and Sun (2010), Cross-sectional return dispersion, JFQA 45:987")
def dispersion_ratio_10_126(market_dispersion: Array) -> Array:
    """ln of the panel's mean cross-sectional standard deviation of 10 bars over that of 126.

    Returns
    -------
    float64, shape (bars,), any sign
        Above 0 where returns differ more than they did. NaN without a panel, or more than ten days after its
        last day.
    """
    return np.log(mean(market_dispersion, 10) / mean(market_dispersion, 126))


@feature(FAMILY, window=5, source="Zaremba et al. (2021), Market breadth; definition")
def breadth_5(market_breadth: Array) -> Array:
    """Mean over 5 bars of the share of the panel that rose.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0.5 where as many rose as fell. NaN without a panel, or more than ten days after its last day.
    """
    return mean(market_breadth, 5)


@feature(FAMILY, window=64, source="Cooper, Gutierrez and Hameed (2004), Market states and momentum, JF 59:1345")
def market_trend_21(market_return: Array, market_variance_63: Array) -> Array:
    """Sum of 21 panel returns in their standard deviations (of 63) over 21 bars.

    Returns
    -------
    float64, shape (bars,), any sign
        In standard deviations of 21 bars. NaN without a panel, or more than ten days after its last day.
    """
    value: Array = total(market_return, 21) / np.sqrt(21 * market_variance_63)
    return value


@feature(FAMILY, window=11, source="Bikhchandani, Hirshleifer and Welch (1992), A theory of fads, JPE 100:992")
def cascade_10(direction: Array, market_return: Array) -> Array:
    """Length of the run of bars that moved with the panel in one direction, signed, at most 10.

    Returns
    -------
    float64, shape (bars,), in [-10, 10]
        A whole number of bars; 0 where the last bar moved against the panel. NaN without a panel, or more than
        ten days after its last day.
    """
    followed = np.where(direction == np.sign(market_return), direction, 0.0 * direction * market_return)
    return streak(followed, 10)


@feature(FAMILY, window=69, source="De Bondt and Thaler (1985), Does the stock market overreact?, JF 40:793")
def contrarian_5(residual: Array, sigma_63: Array, volume: Array, mean_volume_63: Array) -> Array:
    """Less the sum of 5 residual returns, in standard deviations of 5 bars, times their mean volume over that of 63.

    Returns
    -------
    float64, shape (bars,), any sign
        High after a fall on much volume. NaN in a window without volume or without a move. NaN without a panel,
        or more than ten days after its last day.
    """
    return -total(residual, 5) / (sigma_63 * math.sqrt(5)) * mean(volume, 5) / mean_volume_63


@feature(FAMILY, window=64, source="Barber and Odean (2008), All that glitters, RFS 21:785")
def attention_5(log_return: Array, volume: Array, mean_volume_63: Array) -> Array:
    """ln of (mean |log return| of 5 bars over that of 63) x (mean volume of 5 bars over that of 63).

    Returns
    -------
    float64, shape (bars,), any sign
        In logs. NaN in a window without volume or without a move.
    """
    size = np.abs(log_return)
    return np.log(mean(size, 5) / mean(size, 63) * mean(volume, 5) / mean_volume_63)


@feature(FAMILY, window=65, source="Hou and Moskowitz (2005), Market frictions, price delay, RFS 18:981")
def delay_63(log_return: Array, market_return: Array) -> Array:
    """Correlation of 63 log returns with the panel's of the bar before.

    Returns
    -------
    float64, shape (bars,), in [-1, 1]
        Above 0 where the instrument follows the panel a bar late. NaN where the price does not move in the
        window. NaN without a panel, or more than ten days after its last day.
    """
    return correlation(log_return, lag(market_return, 1), 63)


@feature(FAMILY, window=190, source="Harvey and Siddique (2000), Conditional skewness, JF 55:1263")
def coskewness_126(residual: Array, market_return: Array) -> Array:
    """cov(residual, Rm^2) / (sd(residual) x var(Rm)) of 126 bars.

    Returns
    -------
    float64, shape (bars,), any sign
        Negative where the instrument falls when the panel moves much. NaN where the price does not move in the
        window. NaN without a panel, or more than ten days after its last day.
    """
    scale = deviation(residual, 126) * deviation(market_return, 126) ** 2
    return covariance(residual, market_return**2, 126) / scale


@feature(FAMILY, window=22, source="Jegadeesh (1990), Predictable behavior, JF 45:881")
def return_rank_21(return_21: Array, members_return_21: Members) -> Array:
    """Share of the panel's members whose log return of 21 bars is lower: 0 to 1.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0.5 in the middle of the panel. NaN without a panel, or more than ten days after its last day.
    """
    return share_below(return_21, members_return_21)


@feature(FAMILY, window=253, source="Jegadeesh and Titman (1993), Returns to buying winners, JF 48:65")
def momentum_rank_12_1(momentum_12_1: Array, members_momentum_12_1: Members) -> Array:
    """Share of the panel's members whose return of a year less the last month's is lower: 0 to 1.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0.5 in the middle of the panel. NaN without a panel, or more than ten days after its last day.
    """
    return share_below(momentum_12_1, members_momentum_12_1)


@feature(FAMILY, window=22, source="Ang, Hodrick, Xing and Zhang (2006), The cross-section of volatility, JF 61:259")
def volatility_rank_21(volatility_21: Array, members_volatility_21: Members) -> Array:
    """Share of the panel's members whose standard deviation of 21 log returns is lower: 0 to 1.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0.5 in the middle of the panel. NaN without a panel, or more than ten days after its last day.
    """
    return share_below(volatility_21, members_volatility_21)


@feature(FAMILY, window=126, source="Gervais, Kaniel and Mingelgrin (2001), The high-volume return premium, JF 56:877")
def dollar_volume_rank_21(dollar_volume_growth: Array, members_dollar_volume_growth: Members) -> Array:
    """Share of the panel's members whose dollar volume grew less, 21 bars over 126: 0 to 1.

    Ranked is the growth and not the level, which would tell instruments apart by their price's scale.

    Returns
    -------
    float64, shape (bars,), in [0, 1]
        0.5 in the middle of the panel. NaN in a window without volume. NaN without a panel, or more than ten
        days after its last day.
    """
    return share_below(dollar_volume_growth, members_dollar_volume_growth)
