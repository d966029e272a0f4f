"""Option chains as stored: the table of quotes and the snapshots on disk."""
