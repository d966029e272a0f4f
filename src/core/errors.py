"""The failure that a person can act on: one clear line, exit status 1."""


class StageError(Exception):
    """A clear failure: subject, what is wrong and the remedy. Shown as one line, without a traceback."""


class ConfigError(ValueError):
    """A configuration that can't be run: the message names the key, the rule, the value and the remedy."""
