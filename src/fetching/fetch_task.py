"""One request to one provider, while it is pending and how it ended.

What is asked and what comes back is the caller's: bars of an instrument, a chain of options, a page of documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from src.core.failure import Failure
from src.fetching.provider import Answer, BarRequest
from src.runtime.redaction import shown

Asked = TypeVar("Asked")
Got = TypeVar("Got")


@dataclass(frozen=True)
class FetchTask(Generic[Asked]):
    """One request to one provider.

    Attributes
    ----------
    provider : str
        Link of the chain that is asked.
    request : object
        What it is asked.
    order : int
        Tasks with the lowest number go first: the bucket of the instrument, for bars.
    """

    provider: str
    request: Asked
    order: int = 0


@dataclass(frozen=True)
class FetchOutcome(Generic[Asked, Got]):
    """How a task ended: with an answer, or with the reason for having none.

    Attributes
    ----------
    kind : str
        ``ok``; a provider's ``refused``, ``unavailable``, ``malformed``, ``unknown`` or ``unfit``; ``error`` if our own
        code failed; ``stopped`` if the run ended before the task was settled.
    answer : object or None
        Set if `kind` is ``ok``.
    failure : Failure or None
        Set otherwise. It has a traceback only if our own code failed.
    tries : int
        Requests that counted: neither refusals nor faults in an outage.
    seconds : float
        Time that the requests took, waiting at the gate included.
    """

    task: FetchTask[Asked]
    kind: str
    answer: Got | None = None
    failure: Failure | None = None
    tries: int = 0
    seconds: float = 0.0

    @property
    def reason(self) -> str:
        """Reason of the failure, without secrets and on one line; empty if there is an answer."""
        return shown(self.failure.reason) if self.failure else ""


@dataclass(eq=False)
class PendingFetch(Generic[Asked]):
    """A task that is not settled.

    Attributes
    ----------
    number : int
        Breaks ties between tasks of the same order.
    tries, unknown, refusals, excused : int
        Requests that counted; answers that the symbol is unknown; refusals with answers to others between them; faults
        in an outage, which don't count.
    seen : int
        Number of the queue's answers when the task was last refused, or when a probe began.
    probe : bool
        Whether the task only repeats an answered one to see if the provider works. Its answer is dropped.
    """

    task: FetchTask[Asked]
    number: int
    tries: int = 0
    unknown: int = 0
    refusals: int = 0
    excused: int = 0
    seconds: float = 0.0
    seen: int = -1
    probe: bool = False


BarTask = FetchTask[BarRequest]
BarOutcome = FetchOutcome[BarRequest, Answer]
