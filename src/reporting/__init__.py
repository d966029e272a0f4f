"""Figures, tables and the page of a report: pure functions from tables to text."""
