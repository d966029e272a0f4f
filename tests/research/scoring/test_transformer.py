"""A classifier on disk: what it says, what it must have, and what it may not be asked."""

import builtins
import json

import numpy as np
import pytest

from src.config.research_sections import ScoringSection
from src.core.errors import ConfigError
from src.research.scoring import text_pieces
from src.research.scoring.kept_tones import KeptTones
from src.research.scoring.text_scores import text_scores
from src.research.scoring.transformer import transformer
from tests.research.scoring.case import COMPANIES, Documents, bar_rows, bar_store, by_entity, moment, text
from tests.research.scoring.onnx_case import WEIGHTS, WORDS, write_model


def expected(sentence):
    """Softmax of the added weights of at most eight tokens, positive less negative."""
    ids = [WORDS.index(word) if word in WORDS else 1 for word in sentence.lower().split()][:8]
    logits = np.array([WEIGHTS[each] for each in ids]).sum(axis=0) if ids else np.zeros(3)
    shares = np.exp(logits) / np.exp(logits).sum()
    return shares[0] - shares[1]


def test_tones_are_positive_less_negative_whatever_stands_beside_a_text(tmp_path):
    model = transformer(str(write_model(tmp_path)))
    texts = [
        "Profit rises",
        "the LOSS falls",
        "",
        "the " * 30,
        "profit rises the loss falls the profit rises loss loss",
    ]
    texts += ["profit"] * 40
    assert model.tones(texts) == pytest.approx([expected(each) for each in texts], abs=1e-6)
    assert model.tones(texts[:1]) == pytest.approx(model.tones(texts)[:1], abs=1e-7)
    assert model.tones([]) == []


def test_what_is_missing_or_wrong_is_said(tmp_path):
    with pytest.raises(ConfigError, match=r"lacks model.onnx, tokenizer.json, config.json: put an ONNX export"):
        transformer(str(tmp_path / "none"))
    with pytest.raises(ConfigError, match="must name the outputs positive and negative, got label_0"):
        transformer(str(write_model(tmp_path / "a", id2label={"0": "LABEL_0"})))
    with pytest.raises(ConfigError, match="trained_until in config.json must be a date"):
        transformer(str(write_model(tmp_path / "b", trained_until="last year")))
    folder = write_model(tmp_path / "c")
    (folder / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ConfigError, match="can't be loaded: "):
        transformer(str(folder))
    (folder / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ConfigError, match="config.json can't be read"):
        transformer(str(folder))


@pytest.mark.parametrize("package", ["onnxruntime", "tokenizers"])
def test_an_absent_package_is_named(tmp_path, monkeypatch, package):
    real = builtins.__import__

    def without(name, *rest):
        if name == package:
            raise ImportError(f"No module named {package!r}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(
        ConfigError, match=r"needs onnxruntime and tokenizers: install them with `pip install 'alpha-loop"
    ):
        transformer(str(write_model(tmp_path)))


def test_texts_that_it_may_have_read_have_no_tone(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(text_pieces, "mentions", by_entity)
    rows = [text("S00", moment(f"2024-03-0{day}"), f"profit rises {'the ' * day}") for day in (4, 5, 6)]
    bars = bar_store(tmp_path / "bars", [bar_rows("S00", [1.0, 2])])

    def scored(**config):
        settings = ScoringSection(model="transformer", transformer=str(write_model(tmp_path / "model", **config)))
        return text_scores(
            Documents(rows), COMPANIES, bars, settings, 0.7, tmp_path / "state", tmp_path / "models.json"
        )

    assert scored()["tone"].to_list() == pytest.approx([expected("profit rises " + "the " * day) for day in (4, 5, 6)])
    assert "texts are scored that the model may have read" in caplog.text
    first = json.loads((tmp_path / "models.json").read_text(encoding="utf-8"))["version"]
    caplog.clear()
    found = scored(trained_until="2024-03-05")["tone"].to_list()
    assert found == [None, None, pytest.approx(expected("profit rises the the the the the the"))]
    assert caplog.text == ""
    assert json.loads((tmp_path / "models.json").read_text(encoding="utf-8"))["version"] != first


def test_tones_are_kept_by_text_and_version(tmp_path):
    asked = []

    def score(texts):
        asked.extend(texts)
        return [float(len(each)) for each in texts]

    assert KeptTones(tmp_path, "a").tones(["one", "three", "one"], score) == [3, 5, 3]
    assert KeptTones(tmp_path, "a").tones(["three", "seven!"], score) == [5, 6]
    assert asked == ["one", "three", "seven!"]
    (tmp_path / "tones" / "a.parquet").write_bytes(b"damaged")
    assert KeptTones(tmp_path, "a").tones(["one"], score) == [3]
    assert KeptTones(tmp_path, "b").tones(["one"], score) == [3]
    assert asked == ["one", "three", "seven!", "one", "one"]
    assert KeptTones(None, "a").tones(["one"], score) == [3]
