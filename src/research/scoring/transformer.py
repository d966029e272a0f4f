"""Tone by a text classifier whose weights are on disk, in the files of an ONNX export; nothing is ever downloaded."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from src.core.errors import ConfigError
from src.core.hashing import text_digest

_FILES = ("model.onnx", "tokenizer.json", "config.json")
_AT_ONCE = 32  # texts
_LONGEST = 512  # tokens, where the model does not say
_EXTRA = "install them with `pip install 'alpha-loop[transformer]'`, or choose research.scoring.model=learned"


@dataclass(frozen=True)
class Transformer:
    """A classifier that is ready to use.

    Attributes
    ----------
    session, tokenizer
        Of onnxruntime and tokenizers.
    positive, negative : int
        Places of these labels among the outputs.
    version : str
        Hash of the files.
    trained_until : datetime or None
        Until when it may have read texts, if its config says so: ``trained_until``, a date.
    """

    session: Any
    tokenizer: Any
    positive: int
    negative: int
    version: str
    trained_until: dt.datetime | None

    def tones(self, texts: list[str]) -> list[float]:
        """Probability of positive less that of negative, for each text; what exceeds the model's length is cut off.

        Parameters
        ----------
        texts : list of str

        Returns
        -------
        list of float
            In [-1, 1].
        """
        found: list[float] = []
        wanted = {each.name for each in self.session.get_inputs()}
        for first in range(0, len(texts), _AT_ONCE):
            encoded = self.tokenizer.encode_batch(texts[first : first + _AT_ONCE])
            columns = {
                "input_ids": [each.ids for each in encoded],
                "attention_mask": [each.attention_mask for each in encoded],
                "token_type_ids": [each.type_ids for each in encoded],
            }
            feed = {name: np.array(rows, dtype=np.int64) for name, rows in columns.items() if name in wanted}
            found += self._signed(np.asarray(self.session.run(None, feed)[0], dtype=np.float64))
        return found

    def _signed(self, logits: np.ndarray[Any, np.dtype[np.float64]]) -> list[float]:
        """Softmax of the outputs, positive less negative."""
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = weights / weights.sum(axis=1, keepdims=True)
        return [float(value) for value in shares[:, self.positive] - shares[:, self.negative]]


def transformer(folder: str) -> Transformer:
    """Load a classifier.

    Parameters
    ----------
    folder : str
        With model.onnx, tokenizer.json and config.json, whose ``id2label`` names a positive and a negative output.

    Returns
    -------
    Transformer

    Raises
    ------
    ConfigError
        If a package or a file is missing, or a file is not what it should be.
    """
    root = Path(folder)
    missing = [name for name in _FILES if not (root / name).is_file()]
    if missing:
        raise ConfigError(
            f"research.scoring.transformer={folder} lacks {', '.join(missing)}: put an ONNX export of a classifier "
            "there; nothing is downloaded"
        )
    try:
        import onnxruntime
        import tokenizers
    except ImportError as error:
        raise ConfigError(f"research.scoring.model=transformer needs onnxruntime and tokenizers: {_EXTRA}") from error
    settings = _settings(root / "config.json")
    places = _places(settings, folder)
    try:
        session = onnxruntime.InferenceSession(str(root / "model.onnx"), providers=["CPUExecutionProvider"])
        tokenizer = tokenizers.Tokenizer.from_file(str(root / "tokenizer.json"))
    except Exception as error:  # both libraries raise plain exceptions of their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ConfigError(f"research.scoring.transformer={folder} can't be loaded: {reason}") from error
    tokenizer.enable_truncation(max_length=int(settings.get("max_position_embeddings") or _LONGEST))
    tokenizer.enable_padding(pad_id=int(settings.get("pad_token_id") or 0))
    return Transformer(session, tokenizer, *places, _version(root), _trained_until(settings, folder))


def _settings(path: Path) -> dict[str, Any]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"research.scoring.transformer: {path.as_posix()} can't be read: {error}") from error
    return read if isinstance(read, dict) else {}


def _places(settings: dict[str, Any], folder: str) -> tuple[int, int]:
    labels = settings.get("id2label")
    named = {str(label).lower(): int(place) for place, label in labels.items()} if isinstance(labels, dict) else {}
    if not {"positive", "negative"} <= named.keys():
        raise ConfigError(
            f"research.scoring.transformer={folder}: id2label in config.json must name the outputs positive and "
            f"negative, got {', '.join(sorted(named)) or 'no labels'}"
        )
    return named["positive"], named["negative"]


def _trained_until(settings: dict[str, Any], folder: str) -> dt.datetime | None:
    said = settings.get("trained_until")
    if not said:
        return None
    try:
        return dt.datetime.fromisoformat(str(said)).replace(tzinfo=dt.UTC) + dt.timedelta(days=1)
    except ValueError as error:
        raise ConfigError(
            f"research.scoring.transformer={folder}: trained_until in config.json must be a date such as 2019-08-27, "
            f"got {said!r}"
        ) from error


def _version(root: Path) -> str:
    parts = []
    for name in _FILES:
        with (root / name).open("rb") as file:
            parts.append(hashlib.file_digest(file, "blake2b").hexdigest())
    return text_digest(*parts)
