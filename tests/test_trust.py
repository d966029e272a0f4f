"""The page of what is defended names tests that exist."""

from __future__ import annotations

import re

from src.core.project import ROOT

NAMED = re.compile(r"`([a-z_/]+\.py)::(test_[a-z_0-9]+)`")


def test_every_line_of_the_page_names_a_test_that_exists() -> None:
    text = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    rows = [row for row in rows if not row.endswith("| held by |")]
    assert len(rows) > 20
    for row in rows:
        found = NAMED.findall(row)
        assert found, row
        for file, test in found:
            assert f"def {test}(" in (ROOT / "tests" / file).read_text(encoding="utf-8"), f"{file}::{test}"
