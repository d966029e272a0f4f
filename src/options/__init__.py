"""Option chains: read, checked, valued, and stored snapshot by snapshot.

`store.contracts` is the one call that asks for them. Every contract that was quoted is kept; what is wrong with a quote
is said in flags beside it.
"""
