"""Files that survive a crash: atomic writes, yearly partitions, the ledger of a stage, and where everything lies."""
