# Everything a developer or CI runs. Each target sets up what it needs; nothing else has to be installed first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test check format asv lock clean help

help:  ## show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

run: $(VENV)/.run-ready  ## set up, then measure the default suite here and write a report (about three minutes)
	$(BIN)/python -m harness run --suite default --budget 150s

test: check  ## set up, lint, type-check, and run every test
	$(BIN)/python -m pytest

check: $(VENV)/.dev-ready  ## lint, types and layers only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev-ready  ## rewrite the code in house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

asv: $(VENV)/.dev-ready  ## a quick asv run of the benchmarks on the installed environment
	cd benchmarks && ../$(BIN)/python -m asv run --python=same --quick --show-stderr

# torch is installed first and by itself: a CPU build that is already there (or offered by your pip settings) is then kept.
$(VENV)/.run-ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev-ready: requirements-dev.lock $(VENV)/.run-ready
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.lock
	touch $@

lock:  ## resolve the newest versions that pyproject.toml allows and pin them
	./tools-lock

clean:  ## remove the environment and caches; results stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .asv benchmarks/.asv
