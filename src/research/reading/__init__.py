"""What documents of EDGAR say, row by row, and from when on each row was known."""
