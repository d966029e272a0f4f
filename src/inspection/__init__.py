"""What a person looks at between runs: status, one instrument, diagnostics, what can be cleaned up."""
