"""Alpha Loop: graded, tracked, promotable trading models, and how many of them are luck."""

import sys

if sys.argv[:1] == ["-m"]:  # Python looks for the module that `python -m src.<verb>` names
    from src.core.unknown_verb import UnknownVerb

    sys.meta_path.append(UnknownVerb())
