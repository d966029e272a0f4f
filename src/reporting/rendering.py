"""Templates of the page: sections compute values, and the templates in this package hold the markup."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.filters import do_mark_safe

from src.reporting.formatting import printable

TEMPLATES = Path(__file__).parent / "templates"


def render(name: str, **values: object) -> str:
    """Fill the template ``templates/<name>.html.jinja``.

    Parameters
    ----------
    name : str
        Of the template.
    **values : object
        What it shows. Text is escaped; markup (from `trusted`, or rendered before) is not.

    Returns
    -------
    str
        HTML, marked as safe: another template does not escape it again.

    Raises
    ------
    jinja2.UndefinedError
        If the template uses a value that was not passed.
    """
    return do_mark_safe(_environment().get_template(f"{name}.html.jinja").render(**values))  # escaped by the templates


def trusted(svg: str) -> str:
    """Declare a drawing, or a formatted number, as markup that templates do not escape.

    Parameters
    ----------
    svg : str
        From `src.reporting.charts`, `src.reporting.luck_chart` or `src.reporting.quality_worst`, which escape the text
        in it; or from a formatter of numbers.

    Returns
    -------
    str
        The same, marked as safe.
    """
    return do_mark_safe(svg)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, finalize=_printable,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def _printable(value: object) -> object:
    """Replace the characters that XML forbids in text; markup is not changed."""
    return printable(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
