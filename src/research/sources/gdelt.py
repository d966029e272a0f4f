"""News of the world as GDELT's global knowledge graph lists them, by its files of 15 minutes."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import html
import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from src.config.research_sections import ResearchConfig
from src.documents.document import Ask, Document
from src.fetching.provider import Malformed
from src.research.checked_client import checked
from src.research.source import CollectContext, Harvest, Page, Reply, ResearchSource

_NAME, _LATEST = "gdelt", "lastupdate"
_SLOT = dt.timedelta(minutes=15)
_BEGINNING = dt.datetime(2015, 2, 18, 23, tzinfo=dt.UTC)  # of the second version's files
_MOST = 10_000  # files planned in one run: 104 days
_LATE = dt.timedelta(days=1)  # a file that is missing may still come for so long
_COLUMNS = 27
_LONGEST, _LARGEST = 4 << 20, 1 << 30  # bytes of a row and of an unpacked file; usual ones have 36 kB and 13 MB
_LABEL = re.compile(r"(?:.*/)?(?P<label>\d{14})\.gkg\.csv\.zip", re.IGNORECASE)
_TITLE = re.compile(r"<PAGE_TITLE>(.*?)</PAGE_TITLE>", re.DOTALL)
_STATED = re.compile(r"<PAGE_PRECISEPUBTIMESTAMP>(\d{14})</PAGE_PRECISEPUBTIMESTAMP>")
# Columns of the codebook, version 2.1, counted from 0.
_ID, _DATE, _SITE, _ADDRESS, _THEMES, _ALL_THEMES, _ORGANISATIONS, _ALL_ORGANISATIONS, _TONE, _EXTRAS = (
    0, 1, 3, 4, 7, 8, 13, 14, 15, 26,
)  # fmt: skip
_TONES = ("tone", "positive", "negative", "polarity", "activity", "self_reference", "words")


def pages(context: CollectContext) -> Iterator[Page]:
    """Plan the list of the latest files; the files follow from it.

    Parameters
    ----------
    context : CollectContext

    Yields
    ------
    Page
    """
    yield Page(_NAME, _LATEST, f"{context.settings.gdelt.address}/lastupdate.txt")


def read(page: Page, reply: Reply, context: CollectContext) -> Harvest:
    """Read the list of the latest files, or one file.

    Parameters
    ----------
    page : Page
    reply : Reply
        Lines of size, MD5 and address; or a zip with one table of 27 columns.
    context : CollectContext

    Returns
    -------
    Harvest
        One document for each row that has a wanted theme and names an organisation.

    Raises
    ------
    Malformed
        If the list names no file, or a file is not the one that the list or its server's header describes.
    """
    if page.unit == _LATEST:
        return _listed(reply, context)
    label = _moment(str(page.context["label"]))
    if reply.missing:
        again = reply.arrived + _SLOT if reply.arrived - label < _LATE else None
        return Harvest(again=again, notes={"missing": True}, remarks=[f"GDELT has no file of {label:%Y-%m-%d %H:%M}"])
    _check(page, reply)
    documents, remarks, rows = _documents(reply, context, label)
    ask = Ask(_NAME, _NAME, reply.arrived, label - _SLOT)
    return Harvest(documents, (), [ask], None, {"rows": rows, "kept": len(documents)}, remarks)


def _listed(reply: Reply, context: CollectContext) -> Harvest:
    """The files up to the latest that are not stored, the newest first."""
    found = [
        (match["label"], digest)
        for line in reply.body.decode("utf-8", "replace").splitlines()
        if len(words := line.split()) == 3
        for digest, match in [(words[1].lower(), _LABEL.fullmatch(words[2]))]
        if match and _is_slot(match["label"])
    ]
    if not found:
        raise Malformed("GDELT's list of the latest files names none of the knowledge graph")
    latest, digest = max(found)
    notes = dict(context.notes(_LATEST))
    days = dt.timedelta(days=context.settings.gdelt.days)
    begin = _slot(max(_BEGINNING, _moment(latest) - days))
    first = min(begin, _moment(str(notes.get("first") or latest)))
    complete = str(notes.get("complete") or "") if notes.get("first") == _label(first) else ""
    todo, complete = _unread(context, first, _moment(latest), complete)
    more = [_page(context, label, digest if label == latest else "") for label in todo[:_MOST]]
    later = len(todo) - len(more)
    remarks = [f"{later:,} older files of GDELT are left for the next run"] if later else []
    notes = {"first": _label(first), "latest": latest, "complete": complete}
    return Harvest(pages=more, again=reply.arrived + _SLOT, notes=notes, remarks=remarks)


def _unread(context: CollectContext, first: dt.datetime, latest: dt.datetime, complete: str) -> tuple[list[str], str]:
    """Labels whose files were not read, the newest first; and the label up to which all were."""
    slot = _moment(complete) + _SLOT if complete else first
    unread = []
    while slot <= latest:
        label = _label(slot)
        notes = context.notes(_unit(label))
        settled = bool(notes) and not (notes.get("missing") and context.now - slot < _LATE)
        if not settled:
            unread.append(label)
        elif not unread:
            complete = label
        slot += _SLOT
    return unread[::-1], complete


def _page(context: CollectContext, label: str, digest: str) -> Page:
    age = int((context.now - _moment(label)) / _SLOT)
    address = f"{context.settings.gdelt.address}/{label}.gkg.csv.zip"
    return Page(_NAME, _unit(label), address, 1 + max(age, 0), {"label": label, "md5": digest})


def _unit(label: str) -> str:
    return f"gkg/{label}"


def _check(page: Page, reply: Reply) -> None:
    """Compare a file with the MD5 of the list, else with that of the storage's header."""
    if page.unit == _LATEST:
        return
    name, expected = "the list", str(page.context.get("md5") or "")
    if not expected:
        stored = dict(part.strip().partition("=")[::2] for part in reply.headers.get("x-goog-hash", "").split(","))
        try:
            name, expected = "its server", base64.b64decode(stored.get("md5", ""), validate=True).hex()
        except ValueError:
            expected = ""
    found = hashlib.md5(reply.body, usedforsecurity=False).hexdigest()
    if expected and found != expected:
        raise Malformed(f"a file of GDELT has the MD5 {found}, and {name} says {expected}")


def _documents(reply: Reply, context: CollectContext, label: dt.datetime) -> tuple[list[Document], list[str], int]:
    """Wanted rows of a file, what could not be read of it, and how many rows it has."""
    themes = {theme.upper() for theme in context.settings.gdelt.themes}
    documents: dict[str, Document] = {}
    rows = broken = 0
    for line in _lines(reply.body):
        rows += 1
        row = line.split("\t")
        if len(row) != _COLUMNS or not row[_ID] or not row[_ADDRESS]:
            broken += 1
            continue
        organisations = _names(row[_ALL_ORGANISATIONS]) or _names(row[_ORGANISATIONS])
        found = themes & set(_names(f"{row[_THEMES]};{row[_ALL_THEMES]}"))
        if organisations and (found or not themes):
            documents.setdefault(row[_ID], _document(row, organisations, sorted(found), label, reply.arrived))
    remarks = [f"{broken:,} of {rows:,} rows of {label:%Y-%m-%d %H:%M} are not in GDELT's format"] if broken else []
    return list(documents.values()), remarks, rows


def _lines(body: bytes) -> Iterator[str]:
    """Rows of the one table in a zip, with a bound on what it may unpack to."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            names = [each for each in archive.infolist() if not each.is_dir()]
            if len(names) != 1 or names[0].file_size > _LARGEST:
                raise Malformed(f"a zip of GDELT must hold one table of at most {_LARGEST >> 20:,} MB")
            with archive.open(names[0]) as table:
                while line := table.readline(_LONGEST):
                    yield line.decode("utf-8", "replace").rstrip("\r\n")
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise Malformed(f"a file of GDELT is no sound zip: {error}") from error


def _document(
    row: list[str], organisations: list[str], themes: list[str], label: dt.datetime, arrived: dt.datetime
) -> Document:
    match = _TITLE.search(row[_EXTRAS])
    title = " ".join(html.unescape(match[1]).split()) if match else ""
    named = "; ".join(organisations)
    return Document(
        source=_NAME,
        id=row[_ID],
        kind="article",
        seen=arrived,
        body=f"{title or _words(row[_ADDRESS])}\n\nOrganisations: {named}\n".encode(),
        stream=_NAME,
        title=title,
        url=row[_ADDRESS],
        published=_published(row, label),
        accepted=label,
        fields={"site": row[_SITE], "organisations": organisations, "themes": themes, **_tone(row[_TONE])},
    )


def _published(row: list[str], label: dt.datetime) -> dt.datetime:
    """The page's own time unless it is later than GDELT's, which then stands for it."""
    match = _STATED.search(row[_EXTRAS])
    for text in [match[1] if match else "", row[_DATE]]:
        try:
            moment = _moment(text)
        except ValueError:
            continue
        if moment <= label:
            return moment
    return label


def _names(cell: str) -> list[str]:
    """Names of a cell such as ``Apple,120;Tesla,260;Apple,300``, each once, in their order."""
    return list(dict.fromkeys(name for each in cell.split(";") if (name := re.sub(r",\d+$", "", each).strip())))


def _tone(cell: str) -> Mapping[str, Any]:
    """The seven figures of the tone; empty where they are not numbers."""
    try:
        return dict(zip(_TONES, [float(each) for each in cell.split(",")], strict=False))
    except ValueError:
        return {}


def _words(address: str) -> str:
    """The words of an address, for an article whose title is not given."""
    path = address.partition("?")[0].rstrip("/").rpartition("/")[2]
    return " ".join(re.findall(r"[^\W\d_]{2,}", re.sub(r"\.\w{2,5}$", "", path)))


def _moment(label: str) -> dt.datetime:
    return dt.datetime.strptime(label, "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)


def _is_slot(label: str) -> bool:
    try:
        moment = _moment(label)
    except ValueError:
        return False
    return moment == _slot(moment)


def _label(moment: dt.datetime) -> str:
    return f"{moment:%Y%m%d%H%M%S}"


def _slot(moment: dt.datetime) -> dt.datetime:
    """The first label that is not before a moment."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + -(-(moment - midnight) // _SLOT) * _SLOT


def _hosts(settings: ResearchConfig) -> tuple[str, ...]:
    return (urlsplit(settings.gdelt.address).hostname or "",)


RESEARCH = ResearchSource(_NAME, pages, read, connect=checked(_check), rate=1.0, hosts=_hosts)
