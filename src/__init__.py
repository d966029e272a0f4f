"""Alpha Loop: graded, tracked, promotable trading models, and how many of them are luck."""
