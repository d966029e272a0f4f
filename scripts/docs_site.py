"""Hook of MkDocs: pages of the site that are no files of docs/, and links that lead out of docs/.

README.md is the home page; CONTRIBUTING.md and CHANGELOG.md have pages of their own; the API reference comes from the
docstrings of the modules named here. A page of docs/ that mkdocs.yml does not name stands under More.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files of the project's root, and the pages that they become."""
REFERENCE = {
    "Results": ("src.results",),
    "Features of your own": ("src.features.registry", "src.features.windows"),
    "Model families": ("src.models.library",),
    "Labels": ("src.evaluation.label_kinds.declaration", "src.evaluation.labels"),
    "Evaluation": (
        *("src.evaluation.splits", "src.evaluation.strategy", "src.evaluation.metrics", "src.evaluation.grade"),
        *("src.evaluation.shift_test", "src.evaluation.significance", "src.evaluation.multiple_testing"),
    ),
    "Sources": ("src.sources.declaration",),
}
"""Pages of the API reference, with the modules that each shows."""
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference, and the pages that the navigation does not name."""
    nav: list[Any] = config["nav"]
    named = set(_targets(nav))
    more = [path.name for path in sorted(Path(config["docs_dir"]).glob("*.md")) if path.name not in named]
    nav.append({"Python": [{title: _reference_page(title)} for title in REFERENCE]})
    nav.extend([{"More": more}] if more else [])
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made here."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    for title, modules in REFERENCE.items():
        text = "\n\n".join([f"# {title}", *(f"::: {module}" for module in modules)])
        files.append(File.generated(config, _reference_page(title), content=f"{text}\n"))
    return files


def on_page_markdown(markdown: str, page: Any, **_others: Any) -> str:
    """Lead links to pages of the site; what is no page stays as text."""
    folder = ROOT if page.file.src_uri in PAGES.values() else ROOT / "docs"
    parts = re.split(r"(?ms)(^```.*?^```$)", markdown)
    return "".join(part if part.startswith("```") else _LINK.sub(lambda m: _led(m, folder), part) for part in parts)


def _led(link: re.Match[str], folder: Path) -> str:
    image, text, target = link.groups()
    path, hash_sign, anchor = target.partition("#")
    if "://" in target or not path:
        return link.group(0)
    place = (folder / path).resolve()
    if place.is_relative_to(ROOT / "docs"):
        return f"{image}[{text}]({place.relative_to(ROOT / 'docs').as_posix()}{hash_sign}{anchor})"
    page = PAGES.get(place.relative_to(ROOT).as_posix()) if place.is_relative_to(ROOT) else None
    return f"[{text}]({page}{hash_sign}{anchor})" if page else text


def _reference_page(title: str) -> str:
    return f"reference-{title.lower().replace(' ', '-')}.md"


def _targets(nav: list[Any]) -> list[str]:
    entries = [each for item in nav for each in (item.values() if isinstance(item, dict) else [item])]
    return [target for each in entries for target in (_targets(each) if isinstance(each, list) else [each])]
