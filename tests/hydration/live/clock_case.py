"""A clock that only moves while a thread waits."""

from src.config.schema import LiveSource


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def settings(**changes) -> LiveSource:
    fixed = {"rates": {"yahoo": 0.5}, "ceilings": {"yahoo": 1.0}, "pause": 60.0, "max_pause": 3600.0}
    return LiveSource(**(fixed | changes))
