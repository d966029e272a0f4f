"""One session of training: inputs, plan, walk-forward fits, run store, states."""
