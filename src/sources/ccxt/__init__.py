"""Coin exchanges, through ccxt."""
