"""Errors, hashes, array types, constraints and other values that every package uses."""
