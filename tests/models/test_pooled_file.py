"""The file of a pooled run: equal bytes for equal content, and nothing else is read."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from src.models.pooled_file import pack, unpack

MODELS = {"lightgbm": b"tree\n" * 100, "ridge": bytes(range(256)), "catboost": b""}
META = {"columns": ["a", "ä"], "seed": 7, "days": {"first": "2019-01-02"}}


def written(*entries: tuple[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return stream.getvalue()


def test_what_was_packed_is_unpacked() -> None:
    assert unpack(pack(MODELS, META)) == (MODELS, META)


def test_equal_content_gives_equal_bytes_at_any_time_and_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    first = pack(MODELS, META)
    monkeypatch.setattr("time.time", lambda: 2e9)
    monkeypatch.setattr("time.localtime", lambda *_: (2033, 5, 18, 3, 33, 20, 2, 138, 0))
    assert pack(dict(reversed(MODELS.items())), dict(reversed(META.items()))) == first
    assert pack(MODELS, META | {"seed": 8}) != first


def test_models_are_stored_as_they_are() -> None:
    content = pack(MODELS, META)
    assert MODELS["lightgbm"] in content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.namelist() == ["about.json", "models/catboost", "models/lightgbm", "models/ridge"]


@pytest.mark.parametrize(
    "name",
    ["../evil", "models/../evil", "/models/lightgbm", "models/a/b", "models/", "models\\lightgbm", "models/light gbm",
     "models/LPT1", "other.json", "models/lightgbm\n"],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"pooled.zip has an entry .*: it is not as it was stored; restore it, or"):
        unpack(written(("about.json", b"{}"), (name, b"x")))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no zip at all", "can't be read"),
        (pack(MODELS, META)[:-40], "can't be read"),
        (written(("models/ridge", b"x")), "can't be read"),
        (written(("about.json", b"{")), "can't be read"),
        (written(("about.json", b"[]")), "has no description"),
        (written(("about.json", b"{}" + b" " * 500), how=zipfile.ZIP_DEFLATED), "has about.json compressed"),
    ],
)
def test_what_is_no_such_file_is_refused(content: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=f"pooled.zip {words}"):
        unpack(content)


def test_a_flipped_byte_of_a_model_is_found() -> None:
    content = bytearray(pack(MODELS, META))
    content[content.index(MODELS["lightgbm"]) + 3] ^= 1
    with pytest.raises(ValueError, match="can't be read"):
        unpack(bytes(content))


def test_two_entries_of_one_name_are_refused(recwarn: Any) -> None:
    with pytest.raises(ValueError, match="two entries of one name"):
        unpack(written(("about.json", b"{}"), ("models/ridge", b"x"), ("models/ridge", b"y")))


def test_a_name_that_is_no_family_s_and_a_description_with_nan_are_not_packed() -> None:
    with pytest.raises(ValueError, match="must be named like families"):
        pack({"../x": b""}, {})
    with pytest.raises(ValueError, match="not JSON compliant"):
        pack({}, {"a": float("nan")})
