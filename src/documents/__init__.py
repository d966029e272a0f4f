"""Documents of research as collected, and the facts about instruments that are derived from them."""
