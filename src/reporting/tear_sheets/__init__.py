"""A page for one run: what it earned, when, why, and how much of it is luck."""
