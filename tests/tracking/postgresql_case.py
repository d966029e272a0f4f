"""A throw-away PostgreSQL cluster on a socket of its own, for the tests: nothing listens on the network."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import process_case

_START = (
    # The shell ends the server when the tests end, however they end: its input then closes.
    'exec 3<&0; "$@" </dev/null & server=$!; cat <&3 >/dev/null; kill -INT $server; wait $server'
)


def programs() -> Path:
    """The folder of initdb and postgres; skips the test where there is none, or no account to run them as."""
    if os.name == "nt":
        pytest.skip("the throw-away cluster needs a Unix socket")
    on_path = [Path(found).parent for name in ("initdb",) if (found := shutil.which(name))]
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name), reverse=True)
    for folder in (*debian, *on_path):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: whom root runs it as."""
    if os.geteuid() != 0:
        return {}
    import pwd

    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    pytest.skip("root, and no account postgres or nobody to run PostgreSQL as")


@contextmanager
def cluster() -> Iterator[Path]:
    """A running cluster; its socket's folder."""
    bins, account = programs(), _account()
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 characters
    try:
        if account:
            os.chown(folder, account["user"], account["group"])
        made = [str(bins / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        process_case.run([*made, "--no-sync", "--locale=C"], check=True, cwd=folder, capture_output=True, **account)
        with _running(bins, folder, account):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(bins: Path, folder: Path, account: dict[str, Any]) -> Iterator[None]:
    settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off"}
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    command = ["sh", "-c", _START, "sh", str(bins / "postgres"), "-D", str(folder / "data"), *options]
    pipe = process_case.subprocess.PIPE
    with (folder / "log").open("wb") as out:
        process = process_case.Command(command, cwd=folder, stdin=pipe, stdout=out, stderr=out, **account)
    try:
        process_case.until(lambda: process.poll() is not None or _answers(folder))
        assert process.poll() is None, (folder / "log").read_text(errors="replace")
        yield
    finally:
        process.stdin.close()
        process.wait(process_case.HANG)
        process.end_group()


def _answers(folder: Path) -> bool:
    import psycopg2

    try:
        psycopg2.connect(host=str(folder), user="postgres", dbname="postgres").close()
    except psycopg2.OperationalError:
        return False
    return True


def address(folder: Path, name: str) -> str:
    """The tracking URI of a database of the cluster."""
    return f"postgresql://postgres@/{name}?host={folder}"


def make(folder: Path, name: str) -> str:
    """A database with MLflow's tables, copied from one that MLflow made (which takes seconds); its tracking URI."""
    import psycopg2

    template = _template(folder)
    with closing(psycopg2.connect(host=str(folder), user="postgres", dbname="postgres")) as connection:
        connection.autocommit = True
        connection.cursor().execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return address(folder, name)


@functools.cache
def _template(folder: Path) -> str:
    from mlflow.store.db import utils
    from sqlalchemy import create_engine

    engine = create_engine(address(folder, "template1").replace("postgresql:", "postgresql+psycopg2:"))
    utils._initialize_tables(engine)
    engine.dispose()
    return "template1"
