"""Every verb behind one command: ``alpha train universe=quick`` is ``python -m src.train universe=quick``."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the verb that the first argument names with the arguments after it."""
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(main())
