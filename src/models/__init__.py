"""The three model families behind one interface."""
