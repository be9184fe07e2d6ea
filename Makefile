# fineq: every target makes its environment when it is missing and reuses it when it is there.
# Another Python: `BASE_PYTHON=python3.13 make test`. Extras: `make setup EXTRA=cuda`.

BASE_PYTHON ?= python3.11
EXTRA       ?=
VENV        := .venv
PYTHON      := $(VENV)/bin/python
VERSION     := $(shell $(BASE_PYTHON) -c 'import platform; print(platform.python_version())' 2>/dev/null)
BASE        := $(VENV)/.ready-$(VERSION)
STAMP       := $(BASE)$(if $(EXTRA),-$(EXTRA))
# What a lock names is installed as it stands: nothing is resolved and nothing is fetched besides,
# so that the set-up does not depend on what was released since.
INSTALL     := $(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation
CHECK       := found=$$($(PYTHON) -m pip check --disable-pip-version-check) || { echo "$$found"; exit 1; }
# Each worker begins with half of the tests in order, so that what a file shares is made once, and
# takes over some of the other's when it has none left.
PYTEST      := $(PYTHON) -m pytest -n 2 --dist worksteal

export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/.cache/jax

.DEFAULT_GOAL := help
.PHONY: help setup reproduce reproduce-nlqr reproduce-pift reproduce-ntk reproduce-finetune demo demo-finetune test test-all lint format docs bench lock clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make the environment in .venv (EXTRA=cuda adds that extra)

$(BASE): requirements.lock pyproject.toml
	@test -n "$(VERSION)" || { echo "fineq: $(BASE_PYTHON) does not run here; install Python 3.11 or set BASE_PYTHON"; exit 2; }
	@test -e $@ || $(BASE_PYTHON) -m venv --clear $(VENV)
	@echo "fineq: installing into $(VENV) (about a minute)"
	@awk '/^setuptools==/ {on = 1} on {print} on && !/\\$$/ {exit}' requirements.lock > $(VENV)/setuptools.lock
	@$(INSTALL) --require-hashes -r $(VENV)/setuptools.lock
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) -e .
	@$(CHECK)
	@touch $@

$(BASE)-%: requirements-%.lock $(BASE)
	@echo "fineq: adding the extra $*"
	@$(INSTALL) --require-hashes -r $<
	@$(CHECK)
	@touch $@

reproduce: setup  ## run every study at its quick profile; outputs/report.html shows claims and figures
	@$(PYTHON) -m experiments.reproduce

reproduce-nlqr: setup  ## the same for nearly linear-quadratic control alone
	@$(PYTHON) -m experiments.reproduce nlqr

reproduce-pift: setup  ## the same for fine-tuning as stochastic control alone
	@$(PYTHON) -m experiments.reproduce pift

reproduce-ntk: setup  ## the same for score learning with wide networks alone
	@$(PYTHON) -m experiments.reproduce ntk

reproduce-finetune: setup  ## the same for fine-tuning networks alone
	@$(PYTHON) -m experiments.reproduce finetune

demo: setup  ## theory's rate and a measured one in one figure, under a minute
	@echo "A plant of one state, x' = 0.3 x + u + 0.3 sin x, and the controller K that costs least."
	@echo "Gradient descent on K starts at twelve random places and takes a thousand steps."
	@echo "Theory: near the optimum K* each step shortens |K - K*| to 1 - η μ of it, η the step size"
	@echo "and μ the smallest curvature of the cost; the cost gap shrinks at the square of that."
	@echo "The table holds each measured exponent against it (1: equal); the figure draws both."
	@$(PYTHON) -m experiments.nlqr experiment=nlqr/demo

demo-finetune: setup  ## samples before and after fine-tuning, and what is left to gain, three minutes
	@echo "A model learns to draw scanned digits, and is then fine-tuned to draw threes: PI-FT, six times."
	@echo "The reward is log p(three) of a classifier; each nat away from the first model costs β = 0.3."
	@echo "Theory: what a model could still gain, over β, is its divergence from the best law, in nats,"
	@echo "and has a bound that needs no knowledge of that law, only weighted samples of the first model."
	@echo "The figure draws samples of both models from the same noise; the table holds the nats."
	@$(PYTHON) -m experiments.finetune experiment=finetune/demo

# Programs of tests run for milliseconds: what XLA spends on their speed is not worth waiting for.
test: setup  ## the tests but for the slow ones, twelve minutes on 2 cores
	@flags="$$($(PYTHON) -m tests.hasty_flags)" && XLA_FLAGS="$$flags $$XLA_FLAGS" $(PYTEST) -m "not slow"

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

docs: setup $(BASE)-docs  ## build the pages of docs/ into site/html, notebooks executed
	@flags="$$($(PYTHON) -m tests.hasty_flags)" && XLA_FLAGS="$$flags $$XLA_FLAGS" \
		$(PYTHON) -m sphinx -W --keep-going --quiet docs site/html

bench: setup  ## ratios against named alternatives, printed as one table
	@$(PYTHON) -m benchmarks

LOCK := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet

lock:  ## resolve requirements.lock, and a lock for each extra beside it, anew (needs uv)
	@$(LOCK) --extra dev -o requirements.lock
	@for extra in cuda peer docs track; do \
		$(LOCK) --extra $$extra -c requirements.lock -o requirements-$$extra.lock || exit 1; done

clean:  ## remove the environment, caches and outputs
	@rm -rf $(VENV) .cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache site outputs
