"""The day in one command: its steps, when they may begin, who hears of it, and what starts it."""
