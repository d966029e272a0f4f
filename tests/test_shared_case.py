"""What is built once is whole, and built by one process alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.shared_case import built_once


def test_the_first_builds_and_the_others_find_it(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        folder.mkdir(parents=True)
        (folder / f"{len(built)}.txt").write_text("x", encoding="utf-8")
        if len(built) == 1:
            raise OSError("no space left")

    name = tmp_path.name
    with pytest.raises(OSError, match="no space"):
        built_once(tmp_path_factory, name, build)
    places = {built_once(tmp_path_factory, name, build) for _ in range(3)}
    assert len(built) == 2 and places == {built[1]}
    assert [path.name for path in built[1].iterdir()] == ["2.txt"], "what a failed build left is gone"


@pytest.mark.parametrize("worker", [None, "gw1"])
def test_workers_share_the_folder_of_the_run(
    worker: str | None, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    if worker:
        monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
    base = tmp_path_factory.getbasetemp()
    found = built_once(tmp_path_factory, f"{tmp_path.name}-{worker}", make)
    assert found.parent.parent == (base.parent if worker else base)


def make(folder: Path) -> None:
    folder.mkdir(parents=True)
