"""Which company a symbol or a name stands for, and where texts mention it."""
