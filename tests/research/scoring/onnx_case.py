"""A classifier of three outputs in the files of an ONNX export, written by hand: tokens add up their weights.

Field numbers are those of onnx.proto (github.com/onnx/onnx, onnx/onnx.proto).
"""

import json
import struct

from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace

WORDS = ["[PAD]", "[UNK]", "profit", "rises", "loss", "falls", "the"]
WEIGHTS = [(0, 0, 0), (0, 0, 0.5), (1, -1, 0), (2, -1, 0), (-1, 2, 0), (-1, 1, 0), (0, 0, 1)]  # of each output
LABELS = {"0": "Positive", "1": "negative", "2": "neutral"}
FLOAT, INT64 = 1, 7


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, value):
    """A field of a message: numbers as varints, all else with its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def attribute(name, value):
    if isinstance(value, int):
        return field(5, field(1, name) + field(3, value) + field(20, 2))
    return field(5, field(1, name) + b"".join(field(8, each) for each in value) + field(20, 7))


def node(kind, inputs, output, **attributes):
    parts = [*(field(1, name) for name in inputs), field(2, output), field(4, kind)]
    return field(1, b"".join([*parts, *(attribute(*each) for each in attributes.items())]))


def tensor_type(name, kind, *dims):
    shape = b"".join(field(1, field(2, dim) if isinstance(dim, str) else field(1, dim)) for dim in dims)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, shape)))


def model_bytes():
    weights = struct.pack(f"<{3 * len(WORDS)}f", *(value for row in WEIGHTS for value in row))
    table = field(1, len(WORDS)) + field(1, 3) + field(2, FLOAT) + field(8, "table") + field(9, weights)
    graph = [
        node("Gather", ["table", "input_ids"], "looked_up", axis=0),
        node("Cast", ["attention_mask"], "mask", to=FLOAT),
        node("Unsqueeze", ["mask"], "wide_mask", axes=[2]),
        node("Mul", ["looked_up", "wide_mask"], "masked"),
        node("ReduceSum", ["masked"], "logits", axes=[1], keepdims=0),
        field(2, "words"),
        field(5, table),
        *(field(11, tensor_type(name, INT64, "texts", "tokens")) for name in ("input_ids", "attention_mask")),
        field(12, tensor_type("logits", FLOAT, "texts", 3)),
    ]
    return field(1, 6) + field(8, field(1, "") + field(2, 11)) + field(7, b"".join(graph))


def write_model(folder, **config):
    """Write the three files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model_bytes())
    tokenizer = Tokenizer(WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"id2label": LABELS, "max_position_embeddings": 8, "pad_token_id": 0} | config
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder
