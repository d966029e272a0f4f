"""What is shown of addresses."""

from src.masking import masked


def test_names_and_passwords_go_also_where_a_password_has_an_at_sign():
    assert masked("proxy=http://bob:p@ss@host:1/x and mail a@b.org") == "proxy=http://***@host:1/x and mail a@b.org"
    assert masked("https://host/a@b") == "https://host/a@b"


def test_passwords_of_databases_go_with_a_slash_and_as_an_argument():
    shown = masked("postgresql+psycopg2://ann:p/w@db:5432/x?host=/run/pg&password=pw1 and dsn password=pw2 host=h")
    assert shown == "postgresql+psycopg2://***@db:5432/x?host=/run/pg&password=*** and dsn password=*** host=h"
    assert masked("postgresql://ann@/x?host=/run/pg") == "postgresql://***@/x?host=/run/pg"
    assert masked("uri: sqlite:///mlruns/a@b.db") == "uri: sqlite:///mlruns/a@b.db"
