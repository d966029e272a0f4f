"""Figures of a series of daily returns, computed by empyrical where it computes what its name says."""

from __future__ import annotations
