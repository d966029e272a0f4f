from __future__ import annotations

import io
import zipfile

import docx
import pytest
from pypdf import PdfWriter

from src.documents.office_text import Unreadable, pdf_text, word_text
from src.documents.text import readable_text, text_of


def pdf(*pages: str, password: str = "") -> bytes:
    """A PDF of one line a page, written object by object after the standard (ISO 32000-1, 7.5)."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(count))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, line in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 720 Td ({line}) Tj ET" if line else "q Q"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * n} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{content}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    body += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode()
    return encrypted(body, password) if password else body


def encrypted(body: bytes, password: str) -> bytes:
    writer, out = PdfWriter(clone_from=io.BytesIO(body)), io.BytesIO()
    writer.encrypt(password, algorithm="RC4-128")
    writer.write(out)
    return out.getvalue()


def word(*paragraphs: str, rows: tuple[tuple[str, str], ...] = ()) -> bytes:
    document, out = docx.Document(), io.BytesIO()
    for text in paragraphs:
        document.add_paragraph(text)
    if rows:
        table = document.add_table(len(rows), 2)
        for n, row in enumerate(rows):
            table.rows[n].cells[0].text, table.rows[n].cells[1].text = row
        document.add_paragraph("After the table")
    document.save(out)
    return out.getvalue()


def test_the_text_of_a_pdf_is_that_of_its_pages() -> None:
    assert text_of(pdf("Margins widen", "Guidance is raised"), "a.PDF") == "Margins widen\nGuidance is raised"
    assert text_of(pdf("Without its ending"), "download") == "Without its ending"


def test_a_scanned_pdf_has_no_text() -> None:
    assert pdf_text(pdf("", "")).strip() == ""


def test_the_text_of_a_word_file_has_paragraphs_and_tables_in_their_order() -> None:
    body = word("Thesis", "Buy", rows=(("Apple", "210"), ("Tesla", "180")))
    assert text_of(body, "note.docx").splitlines() == ["Thesis", "Buy", "Apple 210", "Tesla 180", "After the table"]


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as parts:
        parts.writestr("word/document.xml", bytes(3 << 20))
    return out.getvalue()


def no_document() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as parts:
        parts.writestr("readme.txt", "not Word")
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("a.pdf", pdf("Secret", password="open sesame"), "encrypted with a password"),
        ("a.pdf", pdf("Cut")[:60], "damaged"),
        ("a.pdf", b"no PDF at all", "damaged"),
        ("a.docx", word("Cut")[:900], "damaged"),
        ("a.docx", b"no zip", "damaged"),
        ("a.docx", no_document(), "damaged"),
        ("a.docx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500), "format before 2007"),
        ("a.docx", bomb(), "unpacks to more than 2 MB"),
    ],
    ids=["password", "cut", "other", "cut zip", "no zip", "other zip", "old Word", "bomb"],
)
def test_a_file_without_readable_text_says_why_and_stops_no_reader(
    name: str, body: bytes, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.documents.office_text._UNPACKED", 2 << 20)
    with pytest.raises(Unreadable, match=words):
        readable_text(body, name)
    assert text_of(body, name) == ""


def test_a_pdf_that_opens_without_a_password_is_read() -> None:
    assert pdf_text(encrypted(pdf("Open"), "")).strip() == "Open"


@pytest.mark.parametrize("seed", range(25))
def test_random_damage_is_reported_as_damage(seed: int) -> None:
    import random

    draw = random.Random(seed)
    for whole, read in ((pdf("Margins widen", "More"), pdf_text), (word("Thesis"), word_text)):
        body = bytearray(whole)
        for _ in range(draw.randint(1, 40)):
            body[draw.randrange(len(body))] = draw.randrange(256)
        try:
            assert isinstance(read(bytes(body)), str)
        except Unreadable as error:
            assert "store" in str(error) or "unpacks" in str(error)
