"""What was trained, read from Python: grades, predictions, equity, bars, features, champions, option chains.

    from src import results
    results.grades("quick")

Every function reads what the stages stored under the working folder (or `root`), and only the part that is asked for.
"""

from __future__ import annotations
