"""Small pieces of SVG, as text: an element, a scale, and round tick values. Colours are left to the style sheet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from src.reporting.formatting import escaped


def element(name: str, *inside: str, **attributes: object) -> str:
    """Write one element: ``class_`` gives class, ``font_size`` gives font-size, and null attributes are left out.

    What stands inside is taken as markup; text goes through `text` or `title`, which escape it.

    >>> element("line", x1=1, x2=2.50, class_="axis")
    '<line x1="1" x2="2.5" class="axis"/>'
    """
    named = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    content = "".join(inside)
    return f"<{name}{named}>{content}</{name}>" if content else f"<{name}{named}/>"


def text(words: str, x: object, y: object, anchor: str = "start", **attributes: object) -> str:
    """Write escaped words at a place."""
    return element("text", escaped(words), x=x, y=y, text_anchor=anchor, **attributes)


def title(words: str) -> str:
    """Write the words that a pointer shows over the element around them."""
    return element("title", escaped(words))


def drawing(width: float, height: float, label: str, *inside: str, class_: str = "figure") -> str:
    """Wrap a drawing that scales with its column; the label says in words what it shows."""
    return element(
        "svg", *inside, viewBox=f"0 0 {number(width)} {number(height)}", role="img", aria_label=label, class_=class_
    )


def path(points: Iterable[tuple[float, float]], decimals: int = 1) -> str:
    """Give the path data of a line through points.

    >>> path([(0, 1), (2.04, 3)])
    'M0 1L2 3'
    """
    return "M" + "L".join(f"{number(x, decimals)} {number(y, decimals)}" for x, y in points)


def number(value: float, decimals: int = 2) -> str:
    """Write a number shortly: no trailing zeros, no negative zero."""
    shown = f"{value:.{decimals}f}"
    shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
    return "0" if shown in ("-0", "") else shown


def scale(domain: tuple[float, float], span: tuple[float, float]) -> Callable[[float], float]:
    """Give the linear map from a domain to a span; a domain of one point maps to the middle."""
    (low, high), (start, end) = domain, span
    if high == low:
        return lambda _: (start + end) / 2
    return lambda value: start + (value - low) / (high - low) * (end - start)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Give round values from low to high, at most so many, 1, 2 or 5 times a power of ten apart.

    >>> ticks(0, 66)
    [0.0, 20.0, 40.0, 60.0]
    """
    if high <= low:
        return [low]
    rough = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(unit * m for m in (1, 2, 5, 10) if unit * m >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 10) for k in range(first, last + 1)]


def thinned(values: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Keep at most about so many points of a curve: the first, the last and each stretch's lowest and highest.

    A curve thinned evenly would lose the very bottom of its drawdown.
    """
    if len(values) <= most:
        return list(values)
    stretch = math.ceil(2 * len(values) / (most - 2))
    kept = {0, len(values) - 1}
    for start in range(0, len(values), stretch):
        places = range(start, min(start + stretch, len(values)))
        kept |= {min(places, key=lambda i: values[i][1]), max(places, key=lambda i: values[i][1])}
    return [values[i] for i in sorted(kept)]


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else escaped(value)
