"""Writing into MLflow beside the training: a store that fails is not tried again for every bucket."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from src.config.schema import Config
from src.core.errors import StageError
from src.tracking import projection
from src.tracking.errors import TrackingError
from src.tracking.recorder import Recorder
from src.tracking.settings import TrackedDataset
from tests.process_case import HANG
from tests.tracking.tracking_case import Case


def test_buckets_queued_behind_a_failure_wait_for_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queued, asked = threading.Event(), []

    def project(*_arguments: Any, **_options: Any) -> None:
        asked.append(queued.wait(HANG))
        raise TrackingError("the database is locked")

    monkeypatch.setattr(projection, "project", project)
    recorder, store = Recorder(TrackedDataset.of(Config())), Case(tmp_path).store
    written = [recorder.put(store, None, {}) for _ in range(3)]  # type: ignore[arg-type]
    queued.set()
    assert isinstance(written[0].exception(), TrackingError)
    assert [each.result().height for each in written[1:]] == [0, 0]
    assert asked == [True]
    with pytest.raises(StageError, match="is locked"):
        recorder.close(store, None, {})  # type: ignore[arg-type]
    assert asked == [True, True]
