"""Numbers and text as the page shows them: one format for each kind of number, a dash for an undefined one."""

from __future__ import annotations

import datetime as dt
import html
import math
from collections.abc import Callable, Sequence
from typing import TypeGuard

from src.core.text import escaped as visible
from src.evaluation.grade import GATE_METRICS

DASH = "\u2013"

Number = float | int | None


def printable(text: str) -> str:
    """Escape characters that XML forbids, that reorder a line, or that can't be seen.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The text on which newlines and tabs stay; a right-to-left mark is ``\\u200f``.
    """
    return visible(text, keep="\n\t")


def escaped(text: object) -> str:
    """Escape text for use inside an SVG element or a quoted attribute; templates escape by themselves."""
    return html.escape(printable(str(text)), quote=True)


def is_finite(value: Number) -> TypeGuard[float]:
    """Say whether a value is a finite number.

    Returns
    -------
    bool
        False for None, NaN and infinities.
    """
    return value is not None and math.isfinite(value)


def _dash_if_undefined(formatted: Callable[[float], str]) -> Callable[[Number], str]:
    """Turn a formatter of floats into one that shows a dash for None, NaN and infinities."""

    def shown(value: Number) -> str:
        return formatted(float(value)) if is_finite(value) else DASH

    return shown


def _signed(text: str) -> str:
    """Replace the hyphen by a minus sign, and drop it from a number that rounded to zero."""
    if not text.startswith("-"):
        return text
    return "\u2212" + text[1:] if any(c in "123456789" for c in text) else text[1:]


def _probability(value: float) -> str:
    if 0 <= value < 0.001:
        return "<0.001"
    return _signed(f"{value:.3f}" if value < 0.1 else f"{value:.2f}")


def _percent(value: float) -> str:
    percents = 100 * value
    if 0 < percents < 0.05:
        return "<0.1%"
    return _signed(f"{percents:.1f}%")


two_decimals = _dash_if_undefined(lambda v: _signed(f"{v:.2f}"))
three_decimals = _dash_if_undefined(lambda v: _signed(f"{v:.3f}"))
integer = _dash_if_undefined(lambda v: _signed(f"{v:,.0f}"))
percent = _dash_if_undefined(_percent)
probability = _dash_if_undefined(_probability)
significant = _dash_if_undefined(lambda v: _signed(f"{v:.6g}"))


def _metric_format(spec: str) -> Callable[[Number], str]:
    return percent if spec.endswith("%") else _dash_if_undefined(lambda v: _signed(format(v, spec)))


METRIC_FORMATS = {metric.name: _metric_format(metric.form) for metric in GATE_METRICS}
_PERCENT_METRICS = {metric.name for metric in GATE_METRICS if metric.form.endswith("%")}


def threshold_value(metric: str, value: float) -> str:
    """Show a threshold or a tick of a metric with no more digits than it has.

    Parameters
    ----------
    metric : str
        Its column in the grades table.
    value : float
        In the unit of the column.

    Returns
    -------
    str
        In percent if the metric is shown in percent.
    """
    return f"{significant(100 * value)}%" if metric in _PERCENT_METRICS else significant(value)


def expected_count(value: Number) -> str:
    """Show an expected count.

    Returns
    -------
    str
        One decimal below ten, a whole number above, a dash if undefined.
    """
    if not is_finite(value):
        return DASH
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


def about(value: Number) -> str:
    """Show an expected count in a sentence.

    Returns
    -------
    str
        ``about 31``, or ``about 0.4`` below one.
    """
    return f"about {expected_count(value) if is_finite(value) and abs(value) < 1 else integer(value)}"


def counted(n: int, singular: str, plural: str | None = None) -> str:
    """Join a count and its noun.

    Parameters
    ----------
    n : int
        The count.
    singular, plural : str
        The noun; the plural is the singular with an s unless given.

    Returns
    -------
    str
        ``1 run``, ``2,061 runs``.
    """
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def iso_date(value: dt.date | dt.datetime | None) -> str:
    """Show a date as YYYY-MM-DD.

    Returns
    -------
    str
        Without the time of a datetime; a dash for None.
    """
    if value is None:
        return DASH
    return value.date().isoformat() if isinstance(value, dt.datetime) else value.isoformat()


def joined(items: Sequence[str], limit: int = 5) -> str:
    """Join the first items by commas and add how many more there are.

    Parameters
    ----------
    items : sequence of str
        What to list.
    limit : int
        Number of items shown.

    Returns
    -------
    str
        ``a, b, c and 4 more``.
    """
    shown = ", ".join(items[:limit])
    rest = len(items) - limit
    return f"{shown} and {rest:,} more" if rest > 0 else shown
