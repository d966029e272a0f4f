"""Market data: the table of bars, the universe, the pinned panel, the exchange calendar, the spread estimate."""
