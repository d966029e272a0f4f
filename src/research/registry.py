"""The sources of documents that there are, and those that a configuration chooses."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from src.config.research_sections import ResearchConfig
from src.research import sources as package
from src.research.source import ResearchSource


@cache
def declarations() -> Mapping[str, ResearchSource]:
    """Return the declared sources by name."""
    found = {}
    for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        declared = getattr(importlib.import_module(module.name), "RESEARCH", None)
        if isinstance(declared, ResearchSource):
            found[declared.name] = declared
    return found


def enabled(settings: ResearchConfig) -> list[str]:
    """Return the names of the sources that a configuration asks, in the order of its sections.

    Parameters
    ----------
    settings : ResearchConfig
    """
    sections = [each.name for each in dataclasses.fields(settings)]
    return [name for name in sections if getattr(getattr(settings, name), "enabled", False)]


def chosen(settings: ResearchConfig) -> list[ResearchSource]:
    """Return the declarations of the sources that a configuration asks.

    Parameters
    ----------
    settings : ResearchConfig
    """
    every = declarations()
    return [every[name] for name in enabled(settings)]
