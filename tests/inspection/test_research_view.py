"""Facts of research as `data` shows them."""

from __future__ import annotations

from src.inspection.research_view import fact_lines


def test_a_strangers_identity_can_not_pass_for_a_line_of_ours() -> None:
    row = {"known": "2024-03-01T00:00:00+00:00", "document": "news:a\n  research    9 filings\x1b[2J:0", "tone": 0.5}
    lines = list(fact_lines({"text_scores": {"count": 1, "last": [row], "covered": []}}))
    assert len(lines) == 2
    assert not any(character in line for line in lines for character in "\n\x1b")
