"""Files of a pooled session that are gone, broken or can't be written: made again or named, never a wrong figure."""

from __future__ import annotations

import errno
from pathlib import Path

import numpy as np
import pytest

from src.core.errors import StageError
from src.storage import atomic
from src.training.pooled.outputs import TABLES
from tests.training.pooled.session_case import Stocks

AGAIN = "grade.min_auc=0.5"  # another threshold: graded again from stored scores


@pytest.fixture
def run(project: Stocks) -> Path:
    """Folder of the one run."""
    return project.portfolios / project.grades()["record_id"][0]


def first_scores(project: Stocks) -> Path:
    return sorted((project.portfolios / "scores").rglob("*.npy"))[0]


def ranks(project: Stocks) -> Path:
    return project.root / "data" / "ranks" / "demo" / "stock"


def test_scores_that_are_cut_short_are_named_with_the_remedy(project: Stocks) -> None:
    path = first_scores(project)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StageError, match=rf"{path.name} can't be read .*: remove it, then run `python -m src.train"):
        project.train(AGAIN)


def test_scores_of_other_rows_are_named(project: Stocks) -> None:
    path = first_scores(project)
    np.save(path, np.load(path)[:-1])
    with pytest.raises(StageError, match=r"scores for [\d,]+ eligible names and days: the bars have changed since"):
        project.train(AGAIN)


def test_scores_that_are_gone_are_made_again_to_the_bit(project: Stocks) -> None:
    before, path = project.scores(), first_scores(project)
    path.unlink()
    path.with_name("2018-07-01.json").unlink()  # says that the scores beside it are whole
    ended = project.train(AGAIN)
    assert sorted(fit.split()[2] for fit in ended.fits) == [path.stem, "2018-07-01"]
    assert project.scores() == before


def test_tables_that_are_gone_are_made_again(project: Stocks, run: Path) -> None:
    before, grades = project.tables(), project.stable_grades()
    (run / f"{TABLES[-1]}.parquet").unlink()
    assert project.train().fits == []
    assert project.tables() == before
    assert project.stable_grades().equals(grades)


def test_a_model_that_was_changed_is_made_again(project: Stocks) -> None:
    (path,) = (project.portfolios / "models").rglob("pooled.zip")
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b" ")
    assert project.train().fits == []
    assert path.read_bytes() == content


def test_ranks_that_are_cut_short_or_lost_are_made_again(project: Stocks) -> None:
    before, scores = {path.name: path.read_bytes() for path in ranks(project).iterdir()}, project.scores()
    column = next(path for path in sorted(ranks(project).iterdir()) if path.name.startswith("rsi_14"))
    column.write_bytes(column.read_bytes()[:-50])
    (ranks(project) / "index.json").unlink()
    for path in (project.portfolios / "scores").rglob("2018*"):
        path.unlink()
    assert len(project.train(AGAIN).fits) == 2
    assert {path.name: path.read_bytes() for path in ranks(project).iterdir()} == before
    assert project.scores() == scores


def test_the_grades_of_the_configuration_are_written_again_from_what_is_stored(project: Stocks) -> None:
    grades = project.stable_grades()
    (project.portfolios / "grades.parquet").write_bytes(b"no parquet")
    assert "1 runs reused" in project.train().line
    assert project.stable_grades().equals(grades)


def test_stored_grades_that_can_not_be_read_are_named(project: Stocks) -> None:
    (path,) = project.portfolios.glob("b000-*.grades.parquet")
    path.write_bytes(b"no parquet")
    with pytest.raises(StageError, match=rf"{path.name}"):
        project.train()


def test_a_full_disk_ends_the_session_and_the_next_one_goes_on(
    featurized: Stocks, trained: Stocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = featurized.copy(tmp_path / "p")
    whole, written = atomic.write_atomic, []

    def full(path: Path, *rest: object, **named: object) -> None:
        if path.suffix == ".npy" and path.parent.parent.name == "scores":
            written.append(path)
            if len(written) == 4:
                raise OSError(errno.ENOSPC, "No space left on device")
        whole(path, *rest, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patched, pytest.raises(OSError, match="No space left"):
        patched.setattr(atomic, "write_atomic", full)
        project.train()
    assert len(project.scores()) == 3
    assert len(project.train().fits) == 3
    assert project.scores() == trained.scores()
    assert project.stable_grades().drop("git_commit", strict=False).equals(trained.stable_grades())
