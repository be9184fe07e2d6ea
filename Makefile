# fineq: every target makes its environment when it is missing and reuses it when it is there.
# Extras: `make setup EXTRA=cuda`.

BASE_PYTHON ?= python3.11
EXTRA       ?=
VENV        := .venv
PYTHON      := $(VENV)/bin/python
STAMP       := $(VENV)/.ready$(if $(EXTRA),-$(EXTRA))
PYTEST      := $(PYTHON) -m pytest -n 2 --dist loadfile

export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax

.DEFAULT_GOAL := help
.PHONY: help setup reproduce reproduce-nlqr reproduce-pift reproduce-ntk demo test test-all lint format bench lock clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make the environment in .venv (EXTRA=cuda adds that extra)

$(STAMP): requirements.lock pyproject.toml
	@command -v $(BASE_PYTHON) >/dev/null || { echo "fineq: $(BASE_PYTHON) was not found; install Python 3.11 or set BASE_PYTHON"; exit 2; }
	@test -x $(PYTHON) || $(BASE_PYTHON) -m venv $(VENV)
	@echo "fineq: installing into $(VENV) (about a minute)"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@test -z "$(EXTRA)" || $(PYTHON) -m pip install --quiet --disable-pip-version-check ".[$(EXTRA)]"
	@touch $@

reproduce: setup  ## run every study at its quick profile and write outputs/summary.json
	@$(PYTHON) -m experiments.reproduce

reproduce-nlqr: setup  ## the same for nearly linear-quadratic control alone
	@$(PYTHON) -m experiments.reproduce nlqr

reproduce-pift: setup  ## the same for fine-tuning as stochastic control alone
	@$(PYTHON) -m experiments.reproduce pift

reproduce-ntk: setup  ## the same for score learning with wide networks alone
	@$(PYTHON) -m experiments.reproduce ntk

demo: setup  ## one smoke study with its figure, under a minute
	@$(PYTHON) -m experiments.nlqr experiment=nlqr/linear_convergence profile=smoke sweep.system.lipschitz=[1]

# Programs of tests run for milliseconds: what XLA spends on their speed is not worth waiting for.
test: export XLA_FLAGS := --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false $(XLA_FLAGS)
test: setup  ## the tests, 8 minutes on 2 cores
	@$(PYTEST) -m "not slow"

test-all: setup  ## all tests, the slow and statistical suites too, with programs compiled as users have them
	@$(PYTEST)

lint: setup  ## formatter, linter, type checker, import rules
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m ruff check .
	@$(VENV)/bin/basedpyright
	@$(VENV)/bin/lint-imports

format: setup  ## rewrite the sources in the house format
	@$(PYTHON) -m ruff format .
	@$(PYTHON) -m ruff check --fix .

bench: setup  ## ratios against named alternatives, printed as one table
	@$(PYTHON) -m benchmarks

lock: setup  ## resolve requirements.lock anew (needs uv)
	@uv pip compile pyproject.toml --extra dev --extra data --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet -o requirements.lock

clean:  ## remove the environment, caches and outputs
	@rm -rf $(VENV) .cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache outputs
