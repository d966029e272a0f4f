"""Tomorrow's decisions of the champions: lines, the netted book, orders, and the journal of what was said."""
