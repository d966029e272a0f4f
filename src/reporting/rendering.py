"""Templates of the page: the sections compute values, the templates beside this module hold the markup."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from jinja2.filters import do_mark_safe

from src.reporting.formatting import visible

TEMPLATES = Path(__file__).parent / "templates"


def render(name: str, **values: object) -> str:
    """Fill the template ``templates/<name>.html.jinja``.

    Parameters
    ----------
    name : str
        Of the template.
    **values : object
        What it shows. Text is escaped; markup (of `drawn`, or rendered before) is taken as it is.

    Returns
    -------
    str
        Finished HTML, marked as such: another template takes it as it is.

    Raises
    ------
    jinja2.UndefinedError
        Where the template names a value that was not passed.
    """
    return do_mark_safe(_environment().get_template(f"{name}.html.jinja").render(**values))  # escaped by the templates


def drawn(svg: str) -> str:
    """Declare a drawing of `src.reporting.charts` as markup; its words were escaped where it was drawn."""
    return do_mark_safe(svg)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, finalize=_shown,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip


def _shown(value: object) -> object:
    """Replace the characters that XML forbids; markup stays as it is."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value
