from src.features.catalog import declared
from src.features.reference import PATH, page


def test_the_committed_page_is_current():
    assert PATH.read_text(encoding="utf-8") == page(), "run `python -m src.features.reference`"


def test_every_feature_says_its_formula_and_its_source():
    text = page()
    for item in declared().values():
        assert item.doc.endswith("."), item.name
        assert item.source, item.name
        assert f"| `{item.name}` |" in text
