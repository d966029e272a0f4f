"""Sources of research, and how their documents become facts about instruments: linking, reading, scoring."""
