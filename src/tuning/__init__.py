"""Search for settings inside the first training window: what it may read, trials, and the file that it leaves.

`window` says which bars may be read and `sample` takes instruments from them; `validation` tries settings on one
instrument; `spaces` holds what may be searched; `searches` is the only module that knows Optuna; `lanes` hands out the
work of all searches at once; `winners` judges and writes.
"""
