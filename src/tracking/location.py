"""Where MLflow keeps runs and models. MLflow is not imported here.

A store is a sqlite file, a PostgreSQL database, or a tracking server with one of them behind it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from src.config import paths
from src.config.schema import TrackingConfig
from src.runtime.redaction import masked, masked_address
from src.tracking.errors import TrackingConfigError, TrackingError


@dataclass(frozen=True)
class StoreLocation:
    """Address of a store.

    Attributes
    ----------
    uri : str
        Absolute, as MLflow takes it.
    database : Path or None
        The sqlite file; None for PostgreSQL and servers.
    artifacts : str or None
        URI below which artifacts are kept; None for a server that keeps them itself.
    """

    uri: str
    database: Path | None
    artifacts: str | None

    @property
    def is_server(self) -> bool:
        """Whether a tracking server is in front of the database."""
        return self.uri.startswith("http")

    @property
    def is_postgresql(self) -> bool:
        """Whether it is a PostgreSQL database that this process opens itself."""
        return self.uri.startswith("postgresql")


def store_location(tracking: TrackingConfig) -> StoreLocation:
    """Resolve the address of the store; relative paths are below the main checkout.

    Parameters
    ----------
    tracking : TrackingConfig

    Raises
    ------
    TrackingConfigError
        For a kind of store whose registry has no gate, or a route that the store does not have.
    TrackingError
        If a library that the store needs is not installed.
    """
    scheme, _, rest = tracking.uri.partition("://")
    kind = scheme.removesuffix("+psycopg2")
    if kind not in ("sqlite", "http", "https", "postgresql") or not rest.strip("/"):
        raise TrackingConfigError(
            "tracking.uri must be sqlite:///<file>, postgresql://<user>@<host>/<database> or the http address of an "
            f"MLflow server, got {masked_address(tracking.uri)}: only these have a gate in front of the model registry"
        )
    if tracking.route == "bulk" and kind != "sqlite":
        raise TrackingConfigError(
            f"tracking.route=bulk inserts into a sqlite file, and {masked_address(tracking.uri)} is not one: leave "
            "tracking.route=auto, which uses MLflow's client there"
        )
    artifacts = _artifacts_uri(tracking.artifacts, kept_by_server=kind.startswith("http"))
    if kind.startswith("http"):
        return StoreLocation(tracking.uri.rstrip("/"), None, artifacts)
    if kind == "postgresql":
        _require_package("psycopg2", "tracking.uri=postgresql://...", "postgres")
        # The driver is named because SQLAlchemy 2.1 defaults to psycopg 3, which MLflow is not tested with.
        return StoreLocation(f"postgresql+psycopg2://{rest}", None, artifacts)
    database = (paths.main_root() / rest.removeprefix("/")).absolute()
    return StoreLocation(f"sqlite:///{database.as_posix()}", database, artifacts)


def local_folder(uri: str) -> Path | None:
    """Folder that a ``file:`` URI names.

    Parameters
    ----------
    uri : str
        Location of artifacts.

    Returns
    -------
    Path or None
        None for any other scheme.
    """
    from urllib.parse import urlparse
    from urllib.request import url2pathname

    parsed = urlparse(uri)
    path = f"//{parsed.netloc}{parsed.path}" if parsed.netloc not in ("", "localhost") else parsed.path
    return Path(url2pathname(path)) if parsed.scheme == "file" else None


def _artifacts_uri(setting: str, *, kept_by_server: bool) -> str | None:
    """URI below which artifacts are kept; a server keeps them itself unless a bucket is named."""
    scheme, is_uri, _ = setting.partition("://")
    if not is_uri:
        return None if kept_by_server else (paths.main_root() / setting).absolute().as_uri()
    if scheme != "s3":
        raise TrackingConfigError(
            f"tracking.artifacts must be a folder or s3://<bucket>/<prefix>, got {masked(setting)}: a tracking server "
            "can keep artifacts elsewhere (tracking.uri=http://...)"
        )
    _require_package("boto3", "tracking.artifacts=s3://...", "s3")
    return setting.rstrip("/")


def _require_package(module: str, setting: str, extra: str) -> None:
    if importlib.util.find_spec(module) is None:
        raise TrackingError(f"{setting} needs the package {module}: pip install -e .[{extra}]")
