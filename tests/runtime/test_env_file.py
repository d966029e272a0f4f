from __future__ import annotations

from pathlib import Path

import pytest

from src.runtime.env_file import variable
from src.runtime.redaction import forget, masked

LINES = """# keys
export REDDIT_CLIENT_ID = 'from the file'
REDDIT_CLIENT_SECRET="s3cr3t=with=signs"
PLAIN=bare value
EMPTY=
not a line
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text(LINES, encoding="utf-8-sig")
    return path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDDIT_CLIENT_ID", "from the file"),
        ("REDDIT_CLIENT_SECRET", "s3cr3t=with=signs"),
        ("PLAIN", "bare value"),
        ("EMPTY", ""),
        ("ABSENT", ""),
    ],
)
def test_the_file_is_read_where_the_environment_has_no_value(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.delenv(name, raising=False)
    assert variable(name, file) == value


def test_the_environment_comes_first_and_no_file_is_needed(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDDIT_CLIENT_ID", "from outside")
    assert variable("REDDIT_CLIENT_ID", file) == "from outside"
    assert variable("REDDIT_CLIENT_ID", file / "gone") == "from outside"


def test_what_was_read_is_masked_from_then_on(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDDIT_CLIENT_SECRET", raising=False)
    variable("REDDIT_CLIENT_SECRET", file)
    try:
        assert masked("answered to s3cr3t=with=signs.") == "answered to ***."
    finally:
        forget()
