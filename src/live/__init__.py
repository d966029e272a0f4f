"""Live providers asked for hours: politely, durably, and refreshed without fetching twice."""
