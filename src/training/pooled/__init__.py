"""The pooled scope: one model over all eligible instruments of an asset class, fold by fold."""
