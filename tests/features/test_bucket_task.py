"""What a worker keeps from one bucket to the next."""

from src.features import bucket_task
from src.features.store import PANEL_FILE
from src.storage.atomic import write_parquet
from tests.features.series import market


def test_a_worker_reads_a_pinned_panel_once_and_another_when_that_is_pinned(tmp_path):
    write_parquet(market(), tmp_path / PANEL_FILE)
    first = bucket_task._panel(tmp_path, "first")
    write_parquet(market(seed=5), tmp_path / PANEL_FILE)
    assert bucket_task._panel(tmp_path, "first") is first
    second = bucket_task._panel(tmp_path, "second")
    indexes = [panel.classes["stock"][1]["market_index"].tolist() for panel in (first, second)]
    assert indexes[0] != indexes[1]


def test_a_panel_of_which_no_hash_is_stored_is_read_each_time(tmp_path):
    assert bucket_task._panel(tmp_path, None).classes == {}
    write_parquet(market(), tmp_path / PANEL_FILE)
    assert bucket_task._panel(tmp_path, None).classes.keys() == {"stock"}
