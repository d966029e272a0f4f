"""Reading what the stages stored, one module for each kind of thing: the functions of `src.results`."""
