"""What is shown of addresses."""

from src.masking import masked


def test_names_and_passwords_go_also_where_a_password_has_an_at_sign():
    assert masked("proxy=http://bob:p@ss@host:1/x and mail a@b.org") == "proxy=http://***@host:1/x and mail a@b.org"
    assert masked("https://host/a@b") == "https://host/a@b"
