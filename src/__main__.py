"""Every verb behind one command: ``alpha train universe=quick`` is ``python -m src.train universe=quick``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def main() -> int:
    """Run the verb that the first argument names with the arguments after it.

    Returns
    -------
    int
        The exit status, where no verb ran; a verb exits with its own.
    """
    from src.core.unknown_verb import meant_verb, verbs

    word, rest = (sys.argv[1], sys.argv[2:]) if sys.argv[1:] else ("--help", [])
    if word in ("-h", "--help", "help"):
        return _answered(_overview)
    if word == "completion":
        from src.runtime import completion

        return _answered(lambda: completion.run(rest, sys.stdout, sys.stderr))
    if word not in verbs():
        meant = meant_verb(word)
        known = f"did you mean alpha {meant}?" if meant else f"write alpha <verb> with a verb of {', '.join(verbs())}"
        sys.stderr.write(f"there is no alpha {word}: {known}\n")
        return 2
    import runpy

    sys.argv[1:] = rest
    runpy.run_module(f"src.{word}", run_name="__main__", alter_sys=True)
    return 0


def overview() -> str:
    """List the verbs with their purposes.

    Returns
    -------
    str
        Several lines.
    """
    from src.core.unknown_verb import purposes

    lines = [*purposes().items(), ("completion", "Print what makes a shell complete all this at the Tab key")]
    verbs = "\n".join(f"  {verb:<11} {purpose}" for verb, purpose in lines)
    return f"alpha <verb> [group=option ...] [key=value ...]\n\n{verbs}\n\n`alpha <verb> --help` says more of one.\n"


def _overview() -> int:
    sys.stdout.write(overview())
    return 0


def _answered(answer: Callable[[], int]) -> int:
    """Print an answer that may be longer than the reader (``head``, ``less``) wants; return the exit status."""
    try:
        status = answer()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


if __name__ == "__main__":
    sys.exit(main())
