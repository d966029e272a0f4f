"""Artifacts in a bucket: models go there, come back from there, and are refused where a file was changed there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src.config.schema import TrackingConfig
from src.core.errors import StageError
from src.tracking import location
from tests.tracking.tracking_case import FEATURES, case, training_rows

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """An S3 that lives in this process, at an address of its own."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        server.start()
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "MLFLOW_S3_ENDPOINT_URL": f"http://{host}:{port}",
        }.items():
            patch.setenv(name, value)
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket="alpha")
        yield client
        server.stop()


def test_models_are_kept_in_a_bucket_and_gated_by_its_files(
    bucket: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    import pandas as pd
    from mlflow.exceptions import MlflowException

    made = case(tmp_path, monkeypatch)
    made.config.tracking.artifacts = "s3://alpha/loop/"
    record = made.add("crypto", "BTC-USD")
    run = made.project()[record]
    client = made.client()
    assert client.get_model_version("crypto.BTC-USD", "1").run_id == run
    keys = [each["Key"] for each in bucket.list_objects_v2(Bucket="alpha")["Contents"]]
    native = next(key for key in keys if key.startswith("loop/demo/models/m-") and key.endswith("/model/model.txt"))
    assert any(key.endswith("config.yaml") for key in keys)
    rows, _ = training_rows()
    model = mlflow.pyfunc.load_model("models:/crypto.BTC-USD/1")
    assert model.predict(pd.DataFrame(rows, columns=FEATURES)).shape == (400,)
    bucket.put_object(Bucket="alpha", Key=native, Body=b"another model")
    with pytest.raises(MlflowException, match="not those that run"):
        client.set_registered_model_alias("crypto.BTC-USD", "champion", "1")
    assert not (tmp_path / "mlruns" / "artifacts").exists()


@pytest.mark.parametrize("place", ["gs://bucket/x", "dbfs:/x://y", "ftp://me:pw@host/x"])
def test_other_places_of_artifacts_are_refused(place: str) -> None:
    with pytest.raises(StageError, match="tracking.artifacts must be a folder or s3://<bucket>/<prefix>") as caught:
        location.store_location(TrackingConfig(artifacts=place))
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"artifacts": "s3://bucket/x"}, r"needs the package boto3: pip install -e \.\[s3\]"),
     ({"uri": "postgresql://h/d"}, r"needs the package psycopg2: pip install -e \.\[postgres\]")],
)  # fmt: skip
def test_a_missing_library_is_reported_with_its_remedy(
    settings: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(location.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(StageError, match=message):
        location.store_location(TrackingConfig(**settings))
