"""The day in one command: its steps, when they may begin, who is told, and what starts it."""
