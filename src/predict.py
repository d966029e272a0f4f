"""Say what the champions decide: ``python -m src.predict``.

::

    python -m src.predict universe=quick                       the book on the latest bars
    python -m src.predict universe=quick date=2024-05-01       on the bars up to a day
    python -m src.predict book.holdings=holdings.csv           and the orders that lead there

Decisions of all champions are written to ``data/signals/<dataset>/<date>.parquet`` and ``.csv``, the netted book and
its orders beside them; all of it goes to the journal before it is shown. A line that can't be vouched for is refused
with its reason; the others stand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.runtime.command import main

if TYPE_CHECKING:
    from src.config.schema import Config


def predict(config: Config) -> str:
    """Make, keep and show the book of a day.

    Parameters
    ----------
    config : Config

    Returns
    -------
    str
        The closing line.
    """
    from src.market.choices import settled
    from src.reporting.book_page import write_book_page
    from src.runtime.terminal import answer
    from src.signals.saying import BookRequest, say
    from src.training.session_choices import require_session

    config = settled("predict", config)
    require_session("predict", config)
    said = say(BookRequest.of(config))
    write_book_page(config.paths, config.book.capital)
    for line in said.table():
        answer(line)
    return f"predict: {said.sentence()}"


if __name__ == "__main__":
    main("predict", predict)
