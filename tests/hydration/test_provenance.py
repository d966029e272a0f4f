"""Keys of hydrations: they change with what the code computes, and with nothing else about it."""

import importlib
import linecache
import re
import sys

import pytest

from src.core import code_hash
from src.hydration import quarantine, validation
from src.hydration.live import corporate_actions


def digest_of(tmp_path, monkeypatch, name: str, changes: dict[str, tuple[str, str]]) -> str:
    """Digest of `validate` from copies of its modules at another place, each changed by one substitution."""
    package = tmp_path / "own_features"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    modules = {"quarantine": quarantine, "validation": validation}
    for module, original in modules.items():
        text = linecache.getlines(original.__file__)
        source = "".join(text).replace("src.hydration.quarantine", f"own_features.{name}_quarantine")
        before, after = changes.get(module, ("", ""))
        if before:
            assert re.search(before, source), before
            source = re.sub(before, after, source, count=1)
        (package / f"{name}_{module}.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for loaded in [each for each in sys.modules if each.split(".")[0] == "own_features"]:
        monkeypatch.delitem(sys.modules, loaded)
    importlib.invalidate_caches()
    code_hash.forget()
    found = code_hash.code_digest(importlib.import_module(f"own_features.{name}_validation").validate)
    code_hash.forget()
    return found


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"validation": ('"""Repair the bars[^\n]*', '"""Other words.')}, True),
        ({"validation": ("(?m)^NOISE = 1e-5.*$", "NOISE = 1e-5  # another reason")}, True),
        ({"quarantine": ('"""Reasons that need no look at single moves."""', '"""Reworded."""')}, True),
        ({"validation": ("(?m)^def _bodies", "# a comment\ndef _bodies")}, True),
        ({"validation": (r"NOISE = 1e-5", "NOISE = 2e-5")}, False),
        ({"quarantine": (r"\(row\[\"held\"\] or 0\) > HELD", '(row["held"] or 0) >= HELD')}, False),
        ({"validation": (r'pl\.col\("step"\) <= 0', 'pl.col("step") < 0')}, False),
    ],
)
def test_a_move_or_another_comment_changes_no_key_and_one_operator_does(tmp_path, monkeypatch, change, same):
    here = validation.rules_digest()
    assert (digest_of(tmp_path, monkeypatch, "moved", change) == here) is same


def test_the_key_of_a_published_bucket_knows_how_corporate_actions_are_applied():
    whole = code_hash.code_digest(corporate_actions.derived)
    assert whole != code_hash.code_digest(corporate_actions.disagreements) and len(whole) == 32
