"""Small pieces of SVG as text: elements, scales, round tick values. The style sheet sets the colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from src.reporting.formatting import escaped


def element(name: str, *children: str, **attributes: object) -> str:
    """Write one element.

    Parameters
    ----------
    name : str
        Of the element.
    *children : str
        Markup inside it; `text` and `title` escape plain text.
    **attributes : object
        ``class_`` gives class, ``font_size`` gives font-size; None leaves an attribute out.

    Returns
    -------
    str
        Markup, with escaped attributes.

    Examples
    --------
    >>> element("line", x1=1, x2=2.50, class_="axis")
    '<line x1="1" x2="2.5" class="axis"/>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    content = "".join(children)
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def text(content: str, x: object, y: object, anchor: str = "start", **attributes: object) -> str:
    """Write escaped text at a position.

    Parameters
    ----------
    content : str
        Plain text.
    x, y : object
        Position, in user units or as a percentage such as ``"2%"``.
    anchor : str
        ``start``, ``middle`` or ``end``.
    **attributes : object
        As for `element`.

    Returns
    -------
    str
        Markup.
    """
    return element("text", escaped(content), x=x, y=y, text_anchor=anchor, **attributes)


def title(content: str) -> str:
    """Write the tooltip of the element around it, escaped."""
    return element("title", escaped(content))


def drawing(width: float, height: float, label: str, *children: str, class_: str = "figure") -> str:
    """Wrap markup in a drawing that scales with its column.

    Parameters
    ----------
    width, height : float
        Of the view box, in user units.
    label : str
        Describes the drawing to a screen reader.
    *children : str
        Markup.
    class_ : str
        Class of the svg element.

    Returns
    -------
    str
        Markup.
    """
    return element(
        "svg", *children, viewBox=f"0 0 {number(width)} {number(height)}", role="img", aria_label=label, class_=class_
    )


def path(points: Iterable[tuple[float, float]], decimals: int = 1) -> str:
    """Give the path data of a line through points.

    Parameters
    ----------
    points : iterable of (float, float)
        In user units.
    decimals : int
        Of each coordinate.

    Returns
    -------
    str
        For the attribute ``d``.

    Examples
    --------
    >>> path([(0, 1), (2.04, 3)])
    'M0 1L2 3'
    """
    return "M" + "L".join(f"{number(x, decimals)} {number(y, decimals)}" for x, y in points)


def number(value: float, decimals: int = 2) -> str:
    """Write a number without trailing zeros and without a negative zero.

    Parameters
    ----------
    value : float
        A finite number.
    decimals : int
        At most.

    Returns
    -------
    str
        ``2.5`` for 2.50.
    """
    shown = f"{value:.{decimals}f}"
    shown = shown.rstrip("0").rstrip(".") if "." in shown else shown
    return "0" if shown in ("-0", "") else shown


def scale(domain: tuple[float, float], span: tuple[float, float]) -> Callable[[float], float]:
    """Give the linear map from a domain of values to a span of positions.

    Parameters
    ----------
    domain, span : (float, float)
        First and last value, and their positions.

    Returns
    -------
    callable
        From value to position; a domain of one value maps to the middle of the span.
    """
    (low, high), (start, end) = domain, span
    if high == low:
        return lambda _: (start + end) / 2
    return lambda value: start + (value - low) / (high - low) * (end - start)


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Give round values for an axis, 1, 2 or 5 times a power of ten apart.

    Parameters
    ----------
    low, high : float
        Ends of the axis.
    most : int
        Largest number of intervals.

    Returns
    -------
    list of float
        Ascending, within the axis.

    Examples
    --------
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


def downsampled(points: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """Thin out a curve but keep its first and last point and the lowest and highest point of each stretch.

    Evenly spaced points would lose the bottom of a drawdown.

    Parameters
    ----------
    points : sequence of (float, float)
        Ascending in their first coordinate.
    most : int
        Approximate number of points to keep.

    Returns
    -------
    list of (float, float)
        Some of the points, in order.
    """
    if len(points) <= most:
        return list(points)
    stretch = math.ceil(2 * len(points) / (most - 2))
    kept = {0, len(points) - 1}
    for start in range(0, len(points), stretch):
        indices = range(start, min(start + stretch, len(points)))
        kept |= {min(indices, key=lambda i: points[i][1]), max(indices, key=lambda i: points[i][1])}
    return [points[i] for i in sorted(kept)]


def _attribute(value: object) -> str:
    return number(value) if isinstance(value, float) else escaped(value)
