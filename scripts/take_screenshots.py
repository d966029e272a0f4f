"""Take the pictures of docs/: MLflow's pages on a dataset, its report and a tear sheet, by an installed Chromium.

``python scripts/take_screenshots.py --checkout . --universe demo --out docs/pictures``

It starts ``python -m src.ui`` on a free port, and ends it. Each page is taken at 1,400 pixels in light and dark, and at
400 pixels as on a phone. Playwright drives the browser; Pillow, where it is installed, makes the files small.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
LOOKS = {
    "light": ("", 1400, 900, "light"),
    "dark": ("-dark", 1400, 900, "dark"),
    "phone": ("-phone", 400, 800, "light"),
}
SECONDS, PART_SECONDS = 120, 40  # for a page or the server to come up, and for what a page shows
COLOURS = 128


@dataclass(frozen=True)
class Shot:
    """A page: the name of its picture, its address, what it shows once it is whole, and the script that scrolls it."""

    name: str
    address: str
    shows: str
    scroll: str = ""


def main(arguments: list[str]) -> int:
    """Take the pictures; exit status 0, 1 where a page or the browser is missing."""
    chosen = _parser().parse_args(arguments)
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.stderr.write("no Chromium is installed: install one, or name it with the variable CHROMIUM\n")
        return 1
    checkout, out = Path(chosen.checkout).resolve(), Path(chosen.out).resolve()
    os.environ["DVC_ROOT"] = str(checkout)
    settings = [f"universe={chosen.universe}", f"data.root={checkout / 'data'}"]
    out.mkdir(parents=True, exist_ok=True)
    with _server(settings) as server:
        shots = [each for each in _shots(checkout, settings, server) if chosen.only in each.name]
        _take(browser, shots, out, [LOOKS[chosen.look]] if chosen.look else list(LOOKS.values()))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--checkout", default=".", help="folder with data/, mlruns/ and reports/")
    parser.add_argument("--universe", default="demo", help="dataset that is shown")
    parser.add_argument("--out", default="docs/pictures", help="folder of the pictures")
    parser.add_argument("--only", default="", metavar="WORD", help="pages whose name has this word")
    parser.add_argument("--look", choices=LOOKS, help="this look alone")
    return parser


@contextlib.contextmanager
def _server(settings: list[str]) -> Iterator[str]:
    """MLflow's pages, as `python -m src.ui` serves them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "src.ui", f"port={port}", "open=false", *settings]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        last = time.monotonic() + SECONDS
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > last:
                process.terminate()
                raise SystemExit(f"the server did not start: {process.stderr.read()[-2000:]}")
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.communicate()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def _shots(checkout: Path, settings: list[str], server: str) -> Iterator[Shot]:
    """The pages that the dataset has, around the champion with the strongest evidence."""
    from src.config.compose import compose
    from src.inspection.run_links import comparison, dataset_lines
    from src.tracking.links import experiment_id, model_address, run_address
    from src.tracking.location import store_location
    from src.tracking.registry_sql import registry_query

    config = compose(settings)
    location = store_location(config.tracking)
    _, runs = next(iter(dataset_lines(config, server)))
    yield Shot("mlflow-runs", runs, ".ag-row")
    number = experiment_id(location, f"{config.tracking.experiment}/{config.dataset}") or ""
    with registry_query(location) as query:
        found = query(_STRONGEST, (int(number),)) if query is not None and number else []
    if found:
        name, version, run_id, asset_class, symbol, has_sheet, _ = found[0]
        compared = comparison(config, (asset_class, symbol), server)
        if compared is not None:
            yield Shot("mlflow-compare", compared[1], "text=Run details", "text=Run details")
        yield Shot("mlflow-model", model_address(name, server=server), "text=Versions")
        yield Shot("mlflow-version", model_address(name, version, server), "text=Registered At")
        yield Shot("mlflow-run", run_address(number, run_id, server), "text=About this run")
        sheet = f"{run_address(number, run_id, server)}/artifacts/tear_sheet.html"
        if has_sheet:
            yield Shot("mlflow-tear-sheet", sheet, "iframe")
    reports = checkout / config.paths.reports
    report = reports / "index.html"
    if report.is_file():
        yield Shot("report", report.as_uri(), "main")
    sheets = sorted((reports / "sheets").glob("*.html"))
    wanted = [each for each in sheets if found and each.name.startswith(f"{found[0][3]}.{found[0][4]}.{found[0][6]}")]
    if sheets:
        yield Shot("tear-sheet", (wanted or sheets)[0].as_uri(), "main")


_STRONGEST = (
    "SELECT v.name, v.version, v.run_id, c.value, s.value, EXISTS (SELECT 1 FROM tags t WHERE t.run_uuid = v.run_id "
    "AND t.key = 'alpha.artifacts'), f.value FROM model_versions v JOIN runs r ON r.run_uuid = v.run_id "
    "JOIN tags c ON c.run_uuid = v.run_id AND c.key = 'asset_class' JOIN tags s ON s.run_uuid = v.run_id "
    "AND s.key = 'symbol' JOIN tags f ON f.run_uuid = v.run_id AND f.key = 'family' "
    "LEFT JOIN latest_metrics z ON z.run_uuid = v.run_id AND z.key = 'z' LEFT JOIN "
    "registered_model_aliases a ON a.name = v.name AND a.version = v.version WHERE r.experiment_id = ? "
    "AND c.value <> 'pooled' AND v.current_stage <> 'Deleted_Internal' ORDER BY a.alias IS NULL, z.value DESC LIMIT 1"
)


def _take(browser: str, shots: list[Shot], out: Path, looks: list[tuple[str, int, int, str]]) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=list(FLAGS))
        try:
            for suffix, width, height, scheme in looks:
                context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
                for shot in shots:
                    picture = _picture(context, shot)
                    path = out / f"{shot.name}{suffix}.png"
                    path.write_bytes(_small(picture))
                    sys.stdout.write(f"{path.name}: {path.stat().st_size / 1024:,.0f} KiB\n")
                context.close()
        finally:
            chromium.close()


def _picture(context: Any, shot: Shot) -> bytes:
    from playwright.sync_api import TimeoutError

    page = context.new_page()
    try:
        page.goto(shot.address, timeout=1000 * SECONDS)
        with contextlib.suppress(TimeoutError):  # at 400 pixels MLflow leaves parts out
            page.wait_for_selector(shot.shows, state="attached", timeout=1000 * PART_SECONDS)
        with contextlib.suppress(TimeoutError):  # a page that keeps asking its server is taken as it is
            page.wait_for_load_state("networkidle", timeout=10_000)
        page.wait_for_timeout(1500)
        if shot.scroll and page.locator(shot.scroll).count():
            page.locator(shot.scroll).first.scroll_into_view_if_needed()
            page.evaluate("document.activeElement?.blur()")
            page.wait_for_timeout(300)
        return bytes(page.screenshot())
    finally:
        page.close()


def _small(picture: bytes) -> bytes:
    """The picture with a palette, where Pillow is installed."""
    try:
        from PIL import Image
    except ImportError:
        return picture
    made = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        made, "PNG", optimize=True
    )
    return min(picture, made.getvalue(), key=len)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
