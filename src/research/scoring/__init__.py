"""The tone of texts: word weights learned walk-forward from returns, lists of words, or a model on disk."""
