# Every target goes through scripts/launch.py, which also serves the double clicks on Windows: it finds a Python,
# makes .venv from requirements.lock the first time, and runs the verb inside it. PYTHON=/path/to/python chooses one.
FOUND := $(shell for python in python3.12 python3.13 python3.11 python3 python; do \
	"$$python" -c "" >/dev/null 2>&1 && { echo "$$python"; break; }; done)
LAUNCH := $(or $(FOUND),$(error no Python found: install Python 3.12 and run make again)) scripts/launch.py

# What is typed and is no target, also the name of a folder, gets an answer from the launcher.
TARGETS := demo hydrate-quick hydrate-full train-massive ingest daily status test bench soak lint ui notebook docs doctor setup lock clean
UNKNOWN := $(filter-out $(TARGETS),$(MAKECMDGOALS))

.PHONY: $(TARGETS) $(UNKNOWN)

demo: ## bars to graded, tracked, registered models, offline
	@$(LAUNCH) demo

hydrate-quick: ## 500 stocks, 200 ETFs and 20 coins from live providers
	@$(LAUNCH) hydrate_quick

hydrate-full: ## everything that is listed, from live providers, for hours
	@$(LAUNCH) hydrate_full_universe

train-massive: ## train all that is hydrated, while hydration goes on
	@$(LAUNCH) train_massive

ingest: ## filings, news and posts about the instruments of universe=quick, and the facts in them
	@$(LAUNCH) ingest

daily: ## the day of universe=quick: hydrate, featurize, predict, monitor, report
	@$(LAUNCH) daily

status: ## where every stage stands
	@$(LAUNCH) status

test: ## lint, types, direction of imports, then every test
	@$(LAUNCH) test

bench: ## the budgets, measured on this machine
	@$(LAUNCH) bench

soak: ## hydration, training, tuning, tracking and a Ray cluster at full size, with kills: for hours
	@$(LAUNCH) soak

lint: ## ruff, mypy and import-linter alone
	@$(LAUNCH) lint

ui: ## MLflow's pages on the runs and models
	@$(LAUNCH) ui

notebook: ## JupyterLab on notebooks/
	@$(LAUNCH) notebook

docs: ## the pages of docs/ as a site that opens from disk, in site/
	@$(LAUNCH) docs

doctor: ## what on this machine may be in the way
	@$(LAUNCH) doctor

setup: ## the environment alone
	@$(LAUNCH) setup

lock: ## resolve requirements.lock anew from pyproject.toml
	@$(LAUNCH) run uv pip compile --universal --generate-hashes --no-header --no-annotate --no-emit-index-url \
		--upgrade --quiet --extra dev --python-version 3.11 --output-file requirements.lock pyproject.toml

clean: ## show what can be removed
	@$(LAUNCH) clean

ifneq ($(UNKNOWN),)
$(UNKNOWN):
	@$(LAUNCH) $@
endif
