"""What every other package may use: errors, hashes, types of arrays, text."""
