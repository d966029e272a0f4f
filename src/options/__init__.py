"""Option chains: read, checked, valued, and stored snapshot by snapshot.

`src.chains.store.contracts` reads them. Every contract that was quoted is kept; flags say what is wrong with a quote.
"""
