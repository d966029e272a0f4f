"""One option at a time, by QuantLib: implied volatility with the right of early exercise, and Greeks.

No formula of our own stands here. American prices come from QuantLib's fixed-point method (Andersen, Lake and
Offengenden, "High-performance American option pricing", 2016), European ones from its Black formula on the forward. A
flat rate and a flat carry up to the expiry are assumed, so a dividend counts as if paid evenly over time.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

_SCALED = 100.0  # strike at which American prices are computed: price, strike and spot scale together
_ROUNDS = 8
_EXACT = 2e-5  # of volatility
_SMALL_STEP = 5e-4  # a correction so small that its own error is below _EXACT to 1e-4: not worth another price
_PREMIUM = 5e-3  # of the price: a right of early exercise worth less changes no delta by a hundredth
_BUMP = 5e-3  # of the spot
_BELOW_MOST = 0.97
_LOWEST, _HIGHEST = 1e-4, 20.0
_FELT = 1e-5  # of the strike: less above the least price says nothing of a volatility


class Terms(NamedTuple):
    """What an option's price depends on beside volatility."""

    call: bool
    strike: float
    spot: float
    forward: float
    years: float
    rate: float  # a year, continuously compounded


class Greeks(NamedTuple):
    """Sensitivities; units as in `VALUES`."""

    delta: float
    gamma: float
    theta: float
    vega: float
    rho: float


class Pricer:
    """QuantLib's objects, made once and asked many times; not for several threads at once.

    Parameters
    ----------
    american
        Whether options may be exercised early (those on stocks and ETFs may, those on indices may not).
    """

    def __init__(self, american: bool = True) -> None:
        import QuantLib as ql

        self.american = american
        self._ql = ql
        self._kinds = {True: ql.Option.Call, False: ql.Option.Put}
        self._spot, self._volatility, self._rate, self._carry = (ql.SimpleQuote(0.0) for _ in range(4))
        self._options = {call: self._option(call) for call in (True, False)}

    def volatility(self, terms: Terms, price: float) -> float | None:
        """Volatility a year at which the option is worth a price.

        Parameters
        ----------
        terms : Terms
            Of the option.
        price : float
            Price of today, in money.

        Returns
        -------
        float or None
            Above 0; None if no volatility gives the price: it is below the option's lower bound or above its upper one.
        """
        if not self._early(terms):
            return self._european(terms, price)
        found = self._by_slopes(terms, price)
        return found if found is not None else self._by_halves(terms, price)

    def _by_halves(self, terms: Terms, price: float) -> float | None:
        """Volatility from between bounds, for those that slopes do not lead to, deep in the money."""
        from scipy.optimize import brentq

        if not price > self.least(terms) + _FELT * terms.strike:
            return None
        high = 0.5
        while self.price(terms, high) < price:
            high *= 2
            if high >= _HIGHEST:
                return None
        return float(brentq(lambda each: self.price(terms, each) - price, _LOWEST, high, xtol=1e-7))

    def _by_slopes(self, terms: Terms, price: float) -> float | None:
        discount = math.exp(-terms.rate * terms.years)
        most = discount * (terms.forward if terms.call else terms.strike)  # of the European option; this one may exceed
        sigma = self._european(terms, min(price, _BELOW_MOST * most))
        if sigma is None:
            return None
        before: tuple[float, float] | None = None
        outside = (terms.forward < terms.strike) == terms.call  # out of the money: the European slope is near enough
        for _ in range(_ROUNDS):
            excess = self.price(terms, sigma) - price
            slope = self._slope(terms, sigma, excess, before)
            if slope is None:
                return None
            step = excess / slope
            trusted = outside or before is not None
            before = (sigma, excess)
            sigma = sigma - step if step < sigma else sigma / 2
            if abs(step) < (_SMALL_STEP if trusted else _EXACT) < sigma:
                return sigma if _LOWEST < sigma < _HIGHEST else None
        return None

    def price(self, terms: Terms, volatility: float) -> float:
        """Price of the option, with the right of early exercise if it has one.

        Parameters
        ----------
        terms : Terms
            Of the option.
        volatility : float
            A year.

        Returns
        -------
        float
            Never below the European price.
        """
        european = self.european_price(terms, volatility)
        if not self._early(terms):
            return european
        scale = _SCALED / terms.strike
        total = math.log(terms.forward / terms.spot)
        self._spot.setValue(terms.spot * scale)
        self._rate.setValue(terms.rate * terms.years)  # a year stands for the option's life, whatever its length
        self._carry.setValue(terms.rate * terms.years - total)
        self._volatility.setValue(volatility * math.sqrt(terms.years))
        try:
            return float(max(self._options[terms.call].NPV() / scale, european))
        except RuntimeError:
            return european

    def least(self, terms: Terms) -> float:
        """Lower bound of the price at any volatility.

        Parameters
        ----------
        terms : Terms
            Of the option.

        Returns
        -------
        float
            The larger of the discounted forward's value and immediate exercise, at least 0.
        """
        sign = 1 if terms.call else -1
        held = math.exp(-terms.rate * terms.years) * sign * (terms.forward - terms.strike)
        exercised = sign * (terms.spot - terms.strike) if self._early(terms) else 0.0
        return max(held, exercised, 0.0)

    def european_price(self, terms: Terms, volatility: float) -> float:
        """Price without the right of early exercise, by the Black formula on the forward.

        Parameters
        ----------
        terms : Terms
            Of the option.
        volatility : float
            A year.

        Returns
        -------
        float
            Discounted to today.
        """
        deviation = volatility * math.sqrt(terms.years)
        discount = math.exp(-terms.rate * terms.years)
        kind = self._kinds[terms.call]
        return float(self._ql.blackFormula(kind, terms.strike, terms.forward, deviation, discount))

    def greeks(self, terms: Terms, volatility: float, price: float) -> Greeks:
        """Sensitivities of an option.

        Delta and gamma know of early exercise; theta, vega and rho are the European option's on the same forward, which
        overstate those of an American put deep in the money.

        Parameters
        ----------
        terms : Terms
            Of the option.
        volatility : float
            A year, as `volatility` returns it.
        price : float
            What the option is worth at that volatility.

        Returns
        -------
        Greeks
            Units as in `src.chains.quotes.VALUES`.
        """
        calculator = self._calculator(terms, volatility)
        delta, gamma = calculator.delta(terms.spot), calculator.gamma(terms.spot)
        if self._early(terms) and price - self.european_price(terms, volatility) > _PREMIUM * price:
            delta, gamma = self._slopes(terms, volatility)
        return Greeks(
            delta=delta,
            gamma=gamma,
            theta=calculator.theta(terms.spot, terms.years),
            vega=calculator.vega(terms.years),
            rho=calculator.rho(terms.years),
        )

    def _slopes(self, terms: Terms, volatility: float) -> tuple[float, float]:
        """Delta and gamma of the American option, by prices a little above and below; the carry stays as it is."""
        step = _BUMP * terms.spot
        below, here, above = (
            self.price(terms._replace(spot=terms.spot * by, forward=terms.forward * by), volatility)
            for by in (1 - _BUMP, 1.0, 1 + _BUMP)
        )
        return (above - below) / (2 * step), (above - 2 * here + below) / step**2

    def _early(self, terms: Terms) -> bool:
        """Whether early exercise can be worth anything: a call without a dividend is never exercised early."""
        if not self.american or terms.rate <= 0:
            return False
        return not terms.call or terms.rate * terms.years - math.log(terms.forward / terms.spot) > 1e-6

    def _european(self, terms: Terms, price: float) -> float | None:
        discount = math.exp(-terms.rate * terms.years)
        kind = self._kinds[terms.call]
        try:
            deviation = self._ql.blackFormulaImpliedStdDev(kind, terms.strike, terms.forward, price, discount)
        except RuntimeError:  # outside the bounds of no arbitrage
            return None
        sigma = deviation / math.sqrt(terms.years)
        return float(sigma) if _LOWEST < sigma < _HIGHEST else None

    def _slope(self, terms: Terms, sigma: float, excess: float, before: tuple[float, float] | None) -> float | None:
        """Change of the price by volatility: of the European option at first, then by the last two prices."""
        if before is None:
            slope = float(self._calculator(terms, sigma).vega(terms.years))
        elif before[0] != sigma:
            slope = (excess - before[1]) / (sigma - before[0])
        else:
            return None
        return slope if slope > 1e-9 * terms.strike else None

    def _calculator(self, terms: Terms, volatility: float) -> Any:
        ql = self._ql
        payoff = ql.PlainVanillaPayoff(self._kinds[terms.call], terms.strike)
        discount = math.exp(-terms.rate * terms.years)
        return ql.BlackCalculator(payoff, terms.forward, volatility * math.sqrt(terms.years), discount)

    def _option(self, call: bool) -> Any:
        """An American option of one year, on dates far off, so that it has not expired on the day of the call."""
        ql = self._ql
        first = ql.Date(1, 1, 2150)
        days = ql.Actual365Fixed()
        rate, carry = (
            ql.YieldTermStructureHandle(ql.FlatForward(first, ql.QuoteHandle(quote), days))
            for quote in (self._rate, self._carry)
        )
        volatility = ql.BlackConstantVol(first, ql.NullCalendar(), ql.QuoteHandle(self._volatility), days)
        process = ql.BlackScholesMertonProcess(
            ql.QuoteHandle(self._spot), carry, rate, ql.BlackVolTermStructureHandle(volatility)
        )
        payoff = ql.PlainVanillaPayoff(self._kinds[call], _SCALED)
        option = ql.VanillaOption(payoff, ql.AmericanExercise(first, first + 365))
        option.setPricingEngine(ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.fastScheme()))
        return option
