"""Errors that a person can act on: one clear line, without a traceback."""


class StageError(Exception):
    """A stage that can't continue: the message has the subject, what is wrong and the remedy. Exit status 1."""


class Incomplete(StageError):
    """A stage that did what it could and refused some of it: the message is its closing line. Exit status 1."""


class ConfigError(ValueError):
    """An invalid configuration: the message has the key, the rule, the value and the remedy."""
