"""One file for each provider or file layout; all yield the one table of `src.bars`."""
