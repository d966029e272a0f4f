"""A collection that is killed loses the batch in work and nothing else; the next run goes on."""

import os
from collections import Counter

from src.core.project import ROOT
from tests import warm_case
from tests.research.collection_case import collect, expected, job, numbered, served, store, stored, use
from tests.research.kill_case import KILLED, MOMENTS
from tests.research.site_case import site

UNITS = 12
BATCH = 20 + 9  # documents: the batch, and the page that fills it


def test_three_kills_lose_nothing_and_double_nothing(tmp_path, monkeypatch) -> None:
    of = job(tmp_path)
    with site(served) as made:
        for moment in MOMENTS:
            words = ["-m", "tests.research.kill_case", str(tmp_path), made.url, str(UNITS), moment]
            done = warm_case.run(words, ROOT, {**os.environ, "DVC_ROOT": str(tmp_path)})
            assert done.returncode == KILLED, moment
        use(monkeypatch, numbered(lambda: made.url, UNITS))
        said = collect(of)
        assert collect(of) == "news nothing due"
        asked = Counter(made.paths)
    rows = stored(of)
    assert sorted(rows["id"]) == expected(UNITS), said
    assert rows["revision"].max() == 0 and not list((of.paths.documents / "log").glob("*.parquet"))
    assert len(asked) == 3 * UNITS and sum(asked.values()) - len(asked) <= len(MOMENTS) * (BATCH + 6 * 9)
    bodies = store(of).bodies(rows)["body"].to_list()
    assert [body.decode() for body in bodies] == [f"text {i} of {name}" for name, i in map(parts, rows["id"])]


def parts(id: str) -> tuple[str, str]:
    name, _, number = id.partition("/")
    return name, number
