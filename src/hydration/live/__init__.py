"""Live hydration: ask providers for what is due and keep what they serve."""
