"""Configurations of command lines, each composed once: for tests of what is done with them."""

from __future__ import annotations

import copy
import functools

from src.config.compose import compose
from src.config.schema import Config


def composed(*words: str) -> Config:
    """The configuration that these words choose, as `compose` gives it, and the caller's own."""
    return copy.deepcopy(_once(words))


@functools.cache
def _once(words: tuple[str, ...]) -> Config:
    return compose([*words])
