"""A password for MLflow's server beyond this machine: MLflow's own users, kept beside the store.

The password of the user ``admin`` comes from ``MLFLOW_AUTH_ADMIN_PASSWORD`` or from the git-ignored file
``mlruns/auth/password``, never from the command line, which anyone can read. Users that ``admin`` adds may read.
"""

from __future__ import annotations

import importlib.util
import ipaddress
import os
import secrets
from pathlib import Path

from src.config import paths
from src.core.errors import StageError
from src.storage import atomic
from src.tracking.errors import REINSTALL

ADMIN = "admin"
VARIABLE = "MLFLOW_AUTH_ADMIN_PASSWORD"
SHORTEST = 12  # characters; MLflow's own rule for users

_SETTINGS = """[mlflow]
default_permission = READ
database_uri = {database}
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach a server that listens at an address.

    Parameters
    ----------
    host : str
        Name or address.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def auth_environment(folder: Path | None = None) -> dict[str, str]:
    """Prepare MLflow's users, and return the variables that the server needs.

    Parameters
    ----------
    folder : Path, optional
        Where users and keys are kept; ``mlruns/auth`` by default.

    Returns
    -------
    dict
        Variable by name; the password is among them.

    Raises
    ------
    StageError
        If there is no password, it is too short, or the package that MLflow needs is missing.
    """
    folder = folder or paths.main_root() / "mlruns" / "auth"
    password = _password(folder / "password")
    _require_package()
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    database = f"sqlite:///{(folder / 'users.db').absolute().as_posix()}"
    settings = folder / "basic_auth.ini"
    atomic.write_text(_SETTINGS.format(database=database.replace("%", "%%")), settings)
    _keep_password(database, password)
    return {
        "MLFLOW_AUTH_CONFIG_PATH": str(settings),
        "MLFLOW_AUTH_ADMIN_USERNAME": ADMIN,
        VARIABLE: password,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": _key(folder / "key"),
    }


def _password(file: Path) -> str:
    password = os.environ.get(VARIABLE) or (file.read_text(encoding="utf-8").strip() if file.is_file() else "")
    if not password:
        raise StageError(
            f"a server that other machines reach needs a password: put one of {SHORTEST} characters or more into the "
            f"variable {VARIABLE} or the file {file}, or leave host out"
        )
    if len(password) < SHORTEST:
        raise StageError(
            f"the password in {VARIABLE} or {file} has fewer than {SHORTEST} characters: choose a longer one"
        )
    return password


def _require_package() -> None:
    if importlib.util.find_spec("flask_wtf") is None:
        raise StageError(f"MLflow's password needs the package Flask-WTF: {REINSTALL}")


def _key(file: Path) -> str:
    """The key that signs MLflow's forms: random, made once."""
    if not file.is_file():
        atomic.write_text(secrets.token_hex(32), file)
        file.chmod(0o600)
    return file.read_text(encoding="utf-8")


def _keep_password(database: str, password: str) -> None:
    """Create the user, or give it the password: MLflow itself reads the password only when it makes the user."""
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore()
    store.init_db(database)
    try:
        if not store.has_user(ADMIN):
            store.create_user(ADMIN, password, is_admin=True)
        elif not store.authenticate_user(ADMIN, password):
            store.update_user(ADMIN, password=password)
    finally:
        store.engine.dispose()
