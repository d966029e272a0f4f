"""Refits: when one is due, what it changes in params.yaml, and that one that was killed goes on where it was."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import yaml

from src.core.errors import ConfigError, Incomplete, StageError
from src.core.project import ROOT
from src.runtime.stage_process import StageEnd
from src.scheduling import challengers
from src.scheduling.refit import due_refit, last_day_before, pin
from src.signals.journal import Journal
from src.storage.day_record import Refit
from tests.scheduling.day_case import Made

PARAMS = "universe: quick # a choice\r\nsplit_until: '2024-12-31' # last bar\r\nseed: 7\r\n"
UNTIL, BEFORE = "2026-09-30", "2024-12-31"


@pytest.mark.parametrize("period", ["monthly", "quarterly", "yearly"])
def test_the_period_before_ends_on_the_last_day_that_another_period_has(period: str) -> None:
    name = {"monthly": lambda day: (day.year, day.month), "quarterly": lambda day: (day.year, (day.month - 1) // 3)}
    of = name.get(period, lambda day: (day.year, 0))
    day = dt.date(2023, 12, 1)
    while day < dt.date(2026, 3, 1):
        naive = day
        while of(naive) == of(day):
            naive -= dt.timedelta(days=1)
        assert last_day_before(period, day) == naive
        day += dt.timedelta(days=1)


def test_a_refit_is_due_once_in_a_period_and_never_moves_back() -> None:
    def due(pinned: str, trained: dict[str, str | None], record: Refit | None = None) -> Refit | None:
        return due_refit("quarterly", dt.date(2026, 11, 20), pinned, trained, record)

    assert due(BEFORE, {"instrument": BEFORE}) == Refit(UNTIL, BEFORE)
    assert due(UNTIL, {"instrument": UNTIL, "pooled": UNTIL}) is None
    assert due(UNTIL, {"instrument": UNTIL, "pooled": BEFORE}) == Refit(UNTIL, UNTIL)  # another dataset moved it
    assert due("2026-10-31", {"instrument": "2026-10-31"}) is None
    assert due(BEFORE, {}) is None  # never trained: there is nothing to challenge
    begun = Refit(UNTIL, BEFORE, ("pinned",))
    assert due(UNTIL, {"instrument": UNTIL}, begun) == begun
    assert due("2025-06-30", {"instrument": BEFORE}, begun) == Refit(UNTIL, "2025-06-30")  # a person moved it meanwhile


def test_pinning_changes_one_value_and_keeps_comments_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(PARAMS.encode())
    pin(path, UNTIL)
    assert path.read_bytes().decode() == PARAMS.replace("'2024-12-31'", '"2026-09-30"')


def test_pinning_works_on_the_committed_file(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    pin(path, UNTIL)
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == {**yaml.safe_load(text), "split_until": UNTIL}
    assert sum(a != b for a, b in zip(text.splitlines(), path.read_text("utf-8").splitlines(), strict=True)) == 1


@pytest.mark.parametrize("text", ["seed: 7\n", "split_until:\n  a: 1\n", "{split_until: 2024-12-31}\n", "a: [\n"])
def test_a_file_that_can_not_be_pinned_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StageError, match=r"params\.yaml"):
        pin(path, UNTIL)
    assert path.read_text(encoding="utf-8") == text


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """A dataset that both scopes were trained on up to 2024-12-31, as their sessions keep saying."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    made = Made(tmp_path, refit="quarterly")
    made.params.write_bytes(PARAMS.encode())
    monkeypatch.setattr(challengers, "last_until", lambda _store: BEFORE)
    for path in (made.paths.grades, made.paths.portfolio_grades):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return made


REFIT = ["hydrate", "featurize", "train scope=instrument", "train scope=pooled", "promote", "predict", "monitor"]


def events(made: Made) -> list[dict[str, object]]:
    return [dict(entry.note) for entry in Journal(made.paths.journal).entries() if entry.kind == "event"]


def test_the_first_day_of_a_period_pins_trains_promotes_and_says_so_in_the_journal(made: Made) -> None:
    made.day()
    assert made.called == [*REFIT, "report"]
    assert "daily: split_until moves from 2024-12-31 to 2026-09-30 in params.yaml" in made.shown
    assert events(made) == [{"event": "refit", "split_until": UNTIL, "before": BEFORE, "period": "quarterly"}]
    made.choose(wait=False)
    made.pinned = UNTIL
    made.day()
    assert not {"train scope=instrument", "promote"} & set(made.called)


@pytest.mark.parametrize("moment", ["train scope=instrument", "train scope=pooled", "promote", "predict"])
def test_a_refit_that_was_killed_goes_on(made: Made, moment: str) -> None:
    verb = moment.partition(" ")[0]

    def killed(words: object) -> StageEnd | None:
        if made.called[-1] == moment:
            return StageEnd(-9, "")
        return None

    made.acts[verb] = killed
    with pytest.raises(StageError, match="ended by signal 9"):
        made.day()
    before = made.called[:]
    del made.acts[verb]
    made.pinned = UNTIL  # as the next command reads it
    made.day()
    assert [call for call in [*before[:-1], *made.called] if call.startswith(("train", "promote"))] == REFIT[2:5]
    assert len(events(made)) == 1


def test_a_version_that_promote_refuses_keeps_the_book_from_no_day(made: Made) -> None:
    made.acts["promote"] = lambda _words: StageEnd(1, "promote: 9 instruments with versions, 1 refused")
    with pytest.raises(Incomplete, match="promote refused versions: see its line above"):
        made.day()
    assert made.called == [*REFIT, "report"]
    assert len(events(made)) == 1
    made.choose(wait=False)
    made.pinned = UNTIL
    made.day()
    assert "promote" not in made.called


def test_a_promote_that_failed_is_done_again(made: Made) -> None:
    made.acts["promote"] = lambda _words: StageEnd(1, "stock.AAPL: version 2 is champion")
    for _ in range(2):
        with pytest.raises(StageError):
            made.day()
        assert made.called[-1] == "promote"
        made.pinned = UNTIL


def test_a_kill_between_the_intent_and_the_pin_is_made_good(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(challengers, "pin", killed)
        with pytest.raises(KeyboardInterrupt):
            made.day()
    made.day()
    assert made.called == [*REFIT, "report"]


def test_a_scope_that_was_not_trained_is_left_alone(made: Made) -> None:
    made.paths.portfolio_grades.unlink()
    made.day()
    assert "train scope=pooled" not in made.called


def test_a_refit_without_a_pinned_date_is_refused(made: Made) -> None:
    made.pinned = None
    with pytest.raises(ConfigError, match="refit moves split_until, which is null"):
        made.day()
