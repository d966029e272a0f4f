"""What predicting reads of a dataset: bars, features, runs, and the settings by which champions were graded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.config.paths import DatasetPaths

if TYPE_CHECKING:
    from src.config.schema import Config


@dataclass(frozen=True)
class SignalDataset:
    """One dataset whose champions decide.

    Attributes
    ----------
    paths : DatasetPaths
    interval : str
        Of the bars.
    max_bar_age : int
        Sessions between an instrument's last bar and the book's date beyond which its line is refused.
    """

    paths: DatasetPaths
    interval: str
    max_bar_age: int

    @classmethod
    def of(cls, config: Config) -> SignalDataset:
        """Take what predicting needs from the configuration of a command."""
        return cls(config.paths, config.universe.interval, config.book.max_bar_age)
