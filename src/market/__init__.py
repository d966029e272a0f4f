"""The market's own facts: when it trades."""
