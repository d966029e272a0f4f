"""Text of bodies: what a person reads of a page, in whatever encoding it came."""

import pytest

from src.documents.text import decoded, text_of


def test_a_page_loses_tags_scripts_and_the_hidden_header_of_inline_xbrl():
    page = (
        "<html><head><title>T</title><style>p{}</style></head><body>"
        "<ix:header><ix:hidden>HIDDEN</ix:hidden></ix:header>"
        "<script>var x</script><p>Net&nbsp;income <b>ro</b>se&#8217;s</p>\n"
        "<table><tr><td>1</td><td>2</td></tr></table></body>"
    )
    assert text_of(page.encode(), "a.htm") == "Net income rose\u2019s\n1\n2"


def test_the_first_bytes_decide_where_the_name_does_not():
    assert text_of(b"<DIV>a</DIV><DIV>b</DIV>", "0001-24-000001") == "a\nb"
    assert text_of(b"price < 5 and volume > 3", "note") == "price < 5 and volume > 3"
    assert text_of(b"<SEC-DOCUMENT>\n<TYPE>8-K\nplain a<b", "x.txt") == "<SEC-DOCUMENT>\n<TYPE>8-K\nplain a<b"


def test_markdown_loses_its_marks_and_keeps_its_words():
    text = '# Title\r\n\r\n- one [link](http://x "t")\n* two\n> quoted\n|a|b|\n|---|:-:|\n|1|2|\n```py\ncode\n```\n'
    assert text_of(text.encode(), "a.md") == "Title\none link\ntwo\nquoted\n|a|b|\n|1|2|\ncode"


def test_tables_and_plain_text_stay_as_they_are():
    assert text_of(b"date,text\r\n2024-01-02,<p>up</p>\r\n", "a.csv") == "date,text\n2024-01-02,<p>up</p>"
    assert text_of(b"", "") == ""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_an_encoding_is_found(encoding):
    assert decoded("caf\u00e9".encode(encoding)) == "caf\u00e9"


def test_a_declared_encoding_counts_if_the_body_is_not_utf_8():
    page = '<meta charset="shift_jis"><p>\u682a\u4fa1</p>'.encode("shift_jis")
    assert text_of(page, "a.html") == "\u682a\u4fa1"


@pytest.mark.parametrize("name", ["rot13", "no-such", "idna", "utf-16"])
def test_a_declared_encoding_that_is_not_to_be_had_does_not_stop_it(name):
    assert isinstance(decoded(f"encoding={name} ".encode() + b"\xff\x00\xfe"), str)
    assert "\0" not in decoded(b"a\0b")


def test_settings_at_the_top_of_a_markdown_file_are_no_text():
    body = b"---\ntitle: Mine\nsymbol: AAPL\n---\n# Heading\nWords --- and more.\n"
    assert text_of(body, "a.md") == "Heading\nWords --- and more."
