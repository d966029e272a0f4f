"""Which instruments there are, from the exchanges' lists, and which of them trade most."""
