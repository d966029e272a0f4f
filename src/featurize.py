"""Featurize: every declared feature that the configuration chooses, for every bar that hydrate left.

``python -m src.featurize universe=full`` computes the buckets whose bars, panel or feature code changed and leaves the
others alone. If it is interrupted, the same command goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.runtime.command import main

if TYPE_CHECKING:
    from src.config.schema import Config


def featurize(config: Config) -> str:
    """Bring the dataset's features up to date and write the state of every instrument; return the closing line.

    Raises
    ------
    ConfigError
        A feature that isn't declared, or one of the user's own that breaks a rule.
    StageError
        There are no bars, or the disk is too small.
    """
    from src.features.build import FeatureJob, build
    from src.market.choices import settled

    return f"featurize: {build(FeatureJob.of(settled('featurize', config)))}"


if __name__ == "__main__":
    main("featurize", featurize)
