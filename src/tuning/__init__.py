"""Search for hyperparameters inside the first training window.

`window` says which bars may be read, and `sample` takes instruments from them. `trial` tries settings on one
instrument. `study` is the only module that uses Optuna, `scheduler` hands out the work of all searches at once and
`searches` begins them. `winner` judges the best settings, and `winner_files` writes them. Of pooled models, which have
no instruments to try one by one, `pooled_market` says what may be read, `pooled_trial` tries settings on it, and
`pooled_search` makes the trials and judges the best of them.
"""
