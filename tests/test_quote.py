"""The verb: from files and back out of the store, its closing line, its exit status."""

import sys

import polars as pl
import pytest

from src.chains.store import contracts
from src.core.project import ROOT
from src.quote import quote
from src.runtime import command as command_module
from tests import warm_case
from tests.options.oracles import CAPTURED, chain


def overrides(tmp_path, *more: str) -> list[str]:
    folders = [f"data.root='{(tmp_path / 'data').as_posix()}'", f"data.logs='{(tmp_path / 'logs').as_posix()}'"]
    return ["universe=full", *folders, *more]


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Run the verb in this process and give its exit status."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DVC_STAGE", "quote")

    def command(*more: str) -> int:
        monkeypatch.setattr(sys, "argv", ["src/quote.py", *overrides(tmp_path, *more)])
        return command_module.run_verb("quote", quote)

    return command


def test_files_become_contracts_that_can_be_asked_for(tmp_path):
    frame = chain("AAA").contracts.with_columns(underlying=pl.lit("AAA"), captured=pl.lit(CAPTURED))
    frame.write_parquet(tmp_path / "chain.parquet")
    path = f"options.path='{(tmp_path / 'chain.parquet').as_posix()}'"
    done = warm_case.run(["-m", "src.quote", *overrides(tmp_path, path)], ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().splitlines()[-1].startswith("quote: 1 snapshot of 1 underlying of full from files: 28 ")
    assert contracts(tmp_path / "data" / "options" / "full", "AAA").height == 28
    assert (tmp_path / "logs" / "quote.log").is_file()


def test_a_source_without_options_ends_with_status_1_and_the_remedy(run, capsys):
    assert run("source=simulated") == 1
    assert "quote: source=simulated quotes no options: choose source=yahoo" in capsys.readouterr().err


def test_a_path_that_is_not_there_ends_with_status_2(run, tmp_path, capsys):
    assert run(f"options.path='{(tmp_path / 'nothing').as_posix()}'") == 2
    assert "options.path: there is no" in capsys.readouterr().err
