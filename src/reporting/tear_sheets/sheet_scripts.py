"""Scripts of tear sheets: one file beside the sheets of a report, or packed into a sheet that stands alone."""

from __future__ import annotations

import base64
import gzip
import hashlib
from functools import cache
from pathlib import Path

from src.reporting.tear_sheets.sheet_page import HERE, Scripts
from src.reporting.vega import charts_script

SCRIPT_FILE = "sheets.js"
_UNPACK = """
"use strict";
(async () => {
  const packed = document.getElementById("packed").textContent;
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const script = document.createElement("script");
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  script.textContent = await new Response(unpacked).text();
  document.body.append(script);
})();
"""


def marked_script(digest: str) -> str:
    """Give the script with a first line that says what it is made from, see `is_marked`.

    Parameters
    ----------
    digest : str
    """
    return f"// {digest}\n{script()}"


def is_marked(path: Path, digest: str) -> bool:
    """Whether a script was made from these sources: making it only to compare it takes seconds.

    Parameters
    ----------
    path : Path
    digest : str
    """
    if not path.is_file():
        return False
    with path.open(encoding="utf-8") as stream:
        return stream.readline().strip() == f"// {digest}"


@cache
def script() -> str:
    """Give the script of every sheet: tables, trades and charts."""
    own = (HERE.parent / "page.js", HERE / "sheet.js")
    parts = [f"(() => {{\n{path.read_text(encoding='utf-8')}}})();\n" for path in own]
    return "".join(parts) + charts_script()


def beside() -> Scripts:
    """Give the scripts of a sheet that lies beside `SCRIPT_FILE`, on a disk or a server.

    Returns
    -------
    Scripts
        The policy allows files of the page's own origin; ``file:`` is what that is called on a disk.
    """
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'self' file:"
    return Scripts(policy, f'<script src="{SCRIPT_FILE}"></script>')


@cache
def inside() -> Scripts:
    """Give the scripts of a sheet that stands alone: compressed, and unpacked by the browser.

    Returns
    -------
    Scripts
        The policy allows the script and what unpacks it, by their hashes.
    """
    whole = script()
    packed = base64.b64encode(gzip.compress(whole.encode(), 9, mtime=0)).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src '{_hash(_UNPACK)}' '{_hash(whole)}'"
    )
    return Scripts(policy, f'<script type="text/plain" id="packed">{packed}</script>\n<script>{_UNPACK}</script>')


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
