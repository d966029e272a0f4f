"""MLflow's first page with the switches set, and everything else as MLflow sends it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from src.tracking.server_app import NAME, create_app, with_first_visit

PAGE = b"<!doctype html><html><head><title>MLflow</title></head><body></body></html>"


def _answered(
    path: str, start: str = "", body: bytes = PAGE, **asked: str
) -> tuple[dict[str, Any], bytes, dict[str, str]]:
    """Status and headers, body, and the headers that the application inside was asked with."""
    inside: dict[str, str] = {}
    sent: list[dict[str, Any]] = []

    async def inner(scope: Any, _receive: Any, send: Any) -> None:
        inside.update({name.decode(): value.decode() for name, value in scope["headers"]})
        headers = [(b"content-length", str(len(body)).encode()), (b"etag", b'"1"'), (b"content-type", b"text/html")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body[:9], "more_body": True})
        await send({"type": "http.response.body", "body": body[9:]})

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in asked.items()]
    scope = {"type": "http", "path": path, "method": "GET", "headers": headers}
    asyncio.run(with_first_visit(inner, start)(scope, None, send))
    start_message = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return start_message, b"".join(each["body"] for each in sent[1:]), inside


def test_the_first_page_sets_the_switches_before_mlflow_reads_them() -> None:
    headers, body, _ = _answered("/")
    assert body.index(b"mlflow.workflowType_v1") < body.index(b"<title>")
    assert b'"mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true"' in body
    assert int(headers["content-length"]) == len(body)


def test_a_browser_never_keeps_a_page_from_before() -> None:
    headers, _, inside = _answered("/", if_none_match='"1"', accept="text/html")
    assert inside == {"accept": "text/html"}
    assert "etag" not in headers
    assert headers["cache-control"] == "no-cache"


def test_other_paths_and_a_page_of_another_kind_pass_as_they_are() -> None:
    assert _answered("/static-files/main.js", if_none_match='"1"')[1:] == (PAGE, {"if-none-match": '"1"'})
    assert _answered("/", body=b"no page")[1] == b"no page"


@pytest.mark.parametrize("start", ["/experiments/1/runs", "</script><script>alert(1)</script>"])
def test_a_bare_address_opens_the_dataset_and_its_name_can_not_end_the_script(start: str) -> None:
    body = _answered("/", start)[1]
    assert body.count(b"</script>") == 1
    assert start.replace("<", "\\u003c").encode() in body


def test_the_project_names_the_application_to_mlflow() -> None:
    import tomllib

    from src.core.project import ROOT

    points = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert points["mlflow.app"] == {NAME: f"{create_app.__module__}:{create_app.__name__}"}
