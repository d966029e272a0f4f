"""One request and one reply as the servers of the loopback world see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson

JSON, HTML, TEXT = "application/json;charset=utf-8", "text/html; charset=utf-8", "text/plain; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """What was asked."""

    host: str
    method: str
    path: str  # without the query
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """What is answered, and how the wire behaves while it is."""

    status: int = 200
    body: bytes = b""
    kind: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    stall: bool = False  # no byte until the client gives up
    sent: int | None = None  # bytes of the body after which the connection is cut
    reset: bool = False  # in the middle of the answer


def json(value: Any, status: int = 200, **headers: str) -> Reply:
    """A JSON reply; arrays of numbers may be NumPy's, and NaN in them becomes null."""
    return Reply(
        status, orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY, default=np.ndarray.tolist), headers=headers
    )
