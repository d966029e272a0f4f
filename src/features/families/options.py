"""Options: what the last snapshot of the instrument's option chain says of its risk, its slope and its trade.

Each feature reads the last summary that tells the value and became known at most five days before the bar's close;
without one it is missing. A chain captured at noon and one captured after the close count alike.
"""

from __future__ import annotations

import numpy as np

from src.features.facts import Facts, at, latest
from src.features.moments import deviation
from src.features.registry import family, feature, ingredient
from src.features.windows import Array, lag, total

FAMILY = family("options", group="research", order=240)
_OLDEST_DAYS = 5.0
_FEWEST = 10  # of the 20 bars before that need a volume


@ingredient
def atm_volatility(chain_summaries: Facts) -> Array:
    """Volatility at the money, 30 days, a year; NaN where no summary of the last five days tells it."""
    return _last(chain_summaries, "volatility")


@ingredient
def smile_skew(chain_summaries: Facts) -> Array:
    """Volatility of the 25-delta put less that of the call, 30 days; NaN where no summary of five days tells it."""
    return _last(chain_summaries, "skew")


@ingredient
def realised_volatility_21(log_return: Array, always_open: Array) -> Array:
    """Standard deviation of 21 close-to-close log returns, a year: of 252 bars, of coins 365."""
    value: Array = deviation(log_return, 21) * np.sqrt(np.where(always_open > 0, 365.0, 252.0))
    return np.where(value > 0, value, np.nan)


@feature(FAMILY, window=1, source="An, Ang, Bali and Cakici (2014), The joint cross section, JF 69:2279")
def implied_volatility(atm_volatility: Array) -> Array:
    """Volatility at the money that options of 30 days imply, a year.

    Returns
    -------
    float64, shape (bars,), at least 0
        NaN without a summary of the last five days.
    """
    return atm_volatility.copy()


@feature(FAMILY, window=1, source="Xing, Zhang and Zhao (2010), Individual equity option volatility smirk, JFQA 45:641")
def implied_skew(smile_skew: Array) -> Array:
    """Implied volatility of the 25-delta put less that of the 25-delta call, 30 days, a year.

    The paper takes the put whose strike over spot is nearest to 0.95 less the call at the money; by delta, strikes of
    calm and of wild stocks are equally far out (Mixon 2011, J. Derivatives 18:9).

    Returns
    -------
    float64, shape (bars,), any sign
        High where protection is dear. NaN without a summary of the last five days.
    """
    return smile_skew.copy()


@feature(FAMILY, window=1, source="Vasquez (2017), Equity volatility term structures, JFQA 52:2727")
def implied_term_slope(chain_summaries: Facts) -> Array:
    """Implied volatility at the money at 90 days less that at 30 days, a year.

    Returns
    -------
    float64, shape (bars,), any sign
        Negative before an event of the next weeks. NaN without a summary of the last five days.
    """
    return _last(chain_summaries, "term_slope")


@feature(FAMILY, window=1, source="Pan and Poteshman (2006), The information in option volume, RFS 19:871")
def put_call_volume(chain_summaries: Facts) -> Array:
    """ln of puts over calls traded in the session of the last summary.

    The paper's ratio is of buyers who open positions, which no public chain tells; that of all trades says less.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN without a summary of the last five days in which both traded.
    """
    return _log(_last(chain_summaries, "put_call_volume"))


@feature(FAMILY, window=1, source="Fodor, Krieger and Doran (2011), Option open-interest changes, FMPM 25:265")
def put_call_interest(chain_summaries: Facts) -> Array:
    """ln of open puts over open calls.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN without a summary of the last five days in which both are open.
    """
    return _log(_last(chain_summaries, "put_call_interest"))


@feature(
    FAMILY, window=22, source="Bali and Hovakimian (2009), Volatility spreads and expected returns, Manag. Sci. 55:1797"
)
def implied_less_realised_21(atm_volatility: Array, realised_volatility_21: Array) -> Array:
    """Implied volatility of 30 days less the standard deviation of 21 close-to-close returns, both a year.

    Returns
    -------
    float64, shape (bars,), any sign
        The variance premium in volatility. NaN where the price does not move in the window, and without a summary of
        the last five days.
    """
    return atm_volatility - realised_volatility_21


@feature(FAMILY, window=22, source="Goyal and Saretto (2009), Cross-section of option returns, JFE 94:310")
def implied_over_realised_21(atm_volatility: Array, realised_volatility_21: Array) -> Array:
    """ln of implied volatility of 30 days over the standard deviation of 21 close-to-close returns.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where the price does not move in the window, and without a summary of the last five days.
    """
    return _log(atm_volatility / realised_volatility_21)


@feature(FAMILY, window=6, source="An, Ang, Bali and Cakici (2014), The joint cross section, JF 69:2279")
def implied_volatility_change_5(atm_volatility: Array) -> Array:
    """Implied volatility less that of five bars before, a year.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN unless both bars have a summary of their last five days.
    """
    return atm_volatility - lag(atm_volatility, 5)


@feature(FAMILY, window=6, source="Xing, Zhang and Zhao (2010), JFQA 45:641; its change")
def implied_skew_change_5(smile_skew: Array) -> Array:
    """Skew of implied volatilities less that of five bars before.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN unless both bars have a summary of their last five days.
    """
    return smile_skew - lag(smile_skew, 5)


@feature(
    FAMILY, window=21, source="Johnson and So (2012), The option to stock volume ratio, JFE 106:262; against itself"
)
def option_volume_surprise_20(chain_summaries: Facts) -> Array:
    """ln of the contracts traded in the session of the last summary over their mean at the 20 bars before.

    Chains captured at other hours of the day than usual make a surprise of their own.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN unless ten of the 20 bars have a volume of their last five days.
    """
    volume = _last(chain_summaries, "volume")
    there = ~np.isnan(volume)
    sums, counts = total(np.where(there, volume, 0.0), 20), total(there.astype(np.float64), 20)
    before = np.where(counts >= _FEWEST, sums / np.maximum(counts, 1.0), np.nan)
    return _log(volume / lag(_positive(before), 1))


def _last(facts: Facts, name: str) -> Array:
    values = facts.fields[name]
    return at(values, latest(facts, ~np.isnan(values), _OLDEST_DAYS))


def _positive(values: Array) -> Array:
    return np.where(values > 0, values, np.nan)


def _log(values: Array) -> Array:
    return np.log(_positive(values))
