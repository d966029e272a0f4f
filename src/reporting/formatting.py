"""Numbers and text as the page shows them: one form for each kind, a dash where there is nothing to show."""

from __future__ import annotations

import datetime as dt
import html
import math
from collections.abc import Callable, Sequence

from src.evaluation.grade import GATE_METRICS

DASH = "\u2013"

Number = float | int | None


def visible(text: str) -> str:
    """Show characters that XML forbids as the replacement mark, so that a standalone SVG stays readable."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def escaped(text: object) -> str:
    """Make any text safe inside an SVG element and inside a quoted attribute; templates escape by themselves."""
    return html.escape(visible(str(text)), quote=True)


def known(value: Number) -> bool:
    """Say whether a value is a finite number."""
    return value is not None and math.isfinite(value)


def _form(show: Callable[[float], str]) -> Callable[[Number], str]:
    """Turn a formatter of floats into one that shows a dash for null, NaN and infinities."""

    def shown(value: Number) -> str:
        return show(float(value)) if value is not None and math.isfinite(value) else DASH

    return shown


def _signed(text: str) -> str:
    """Replace the hyphen by a minus, and drop it before a number that rounded to zero."""
    if not text.startswith("-"):
        return text
    return "\u2212" + text[1:] if any(c in "123456789" for c in text) else text[1:]


def _chance(value: float) -> str:
    if 0 <= value < 0.001:
        return "<0.001"
    return _signed(f"{value:.3f}" if value < 0.1 else f"{value:.2f}")


def _share(value: float) -> str:
    percents = 100 * value
    if 0 < percents < 0.05:
        return "<0.1%"
    return _signed(f"{percents:.1f}%")


two_digits = _form(lambda v: _signed(f"{v:.2f}"))
three_digits = _form(lambda v: _signed(f"{v:.3f}"))
whole = _form(lambda v: _signed(f"{v:,.0f}"))
share = _form(_share)
chance = _form(_chance)
plain = _form(lambda v: _signed(f"{v:.6g}"))


def _metric_form(spec: str) -> Callable[[Number], str]:
    return share if spec.endswith("%") else _form(lambda v: _signed(format(v, spec)))


METRIC_FORMS = {metric.name: _metric_form(metric.form) for metric in GATE_METRICS}
_PERCENT = {metric.name for metric in GATE_METRICS if metric.form.endswith("%")}


def limit(metric: str, value: float) -> str:
    """Show a threshold or a tick of a metric with no more digits than it has."""
    return f"{plain(100 * value)}%" if metric in _PERCENT else plain(value)


def expected_count(value: Number) -> str:
    """Show an expected count: one decimal below ten, whole above."""
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


def about(value: Number) -> str:
    """Show an expected count in words, ``about 31``, ``about 0.4``."""
    return f"about {expected_count(value) if value is not None and abs(value) < 1 else whole(value)}"


def counted(n: int, singular: str, plural: str | None = None) -> str:
    """Say a count with its noun: ``1 run``, ``2,061 runs``."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def day(value: dt.date | dt.datetime | None) -> str:
    """Show a date as YYYY-MM-DD, whatever its kind."""
    if value is None:
        return DASH
    return value.date().isoformat() if isinstance(value, dt.datetime) else value.isoformat()


def listed(items: Sequence[str], limit: int = 5) -> str:
    """Join the first items by commas and say how many more there are."""
    shown = ", ".join(items[:limit])
    rest = len(items) - limit
    return f"{shown} and {rest:,} more" if rest > 0 else shown
