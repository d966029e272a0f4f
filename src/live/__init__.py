"""Live hydration: asking providers politely for hours, and keeping what they serve."""
