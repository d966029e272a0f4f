"""What the pages of ``dvc plots`` are drawn by: DVC's own page loads it from another host, ours finds it beside itself.

The page is .dvc/plots.html, which .dvc/config names.
"""

from __future__ import annotations

from pathlib import Path

SCRIPT = "vega.js"
"""Name of the script in the folder of all reports, as the page looks for it."""


def write_plots_script(reports: Path) -> None:
    """Write the script, unless it is there.

    Parameters
    ----------
    reports : Path
        Folder of the reports of all datasets.
    """
    from src.reporting.vega import library_script
    from src.storage.atomic import write_text

    path, text = reports / SCRIPT, library_script()
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        write_text(text, path)
