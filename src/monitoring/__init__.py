"""What came of what the journal says: records of champions and of the book, drift, and sequential tests."""
