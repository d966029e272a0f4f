"""Declared features, one file for each family."""
