# Everything a developer or CI runs. Each target sets up what it needs; nothing else has to be installed first.

PYTHON ?= python3
VENV := .venv
# Pinned by hand: an unpinned torch on Linux is the newest CUDA build, several gigabytes.
TORCH := 2.13.0
BIN := $(VENV)/bin
CORES := $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN)

.PHONY: run test check check-sample check-all sabotage-table trust format asv lock clean help

help:  ## show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.run-ready  ## set up, then measure the default suite here and write a report (about three minutes)
	$(BIN)/python -m harness run --suite default

test: check  ## set up, lint, type-check, run every test, and check a sample of all shapes
	$(BIN)/python -m pytest -n $(CORES) --dist worksteal
	$(MAKE) check-sample

check: $(VENV)/.dev-ready  ## lint, types and layers only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Some of every kind of problem, for each backend. Those that the time is too short for are skipped, which is no failure.
check-sample: $(VENV)/.run-ready  ## check every backend on a stratified sample of all shapes (about a minute)
	$(BIN)/python -m harness check --suite all --sample 150 --jobs $(CORES) --budget 60s --case-timeout 60s

# Without a budget, so that only what is predicted to outlast the limit is skipped.
check-all: $(VENV)/.run-ready  ## check every backend on every shape of every table but the extreme ones (hours)
	$(BIN)/python -m harness check --suite all --jobs $(CORES) --case-timeout 60s \
		--out results/check-all-$$(date -u +%Y%m%dT%H%M%SZ)

sabotage-table: $(VENV)/.dev-ready  ## write docs/sabotage.md: which check catches which broken backend (two minutes)
	PYTHONPATH=.:tests:tests/support:tests/harness $(BIN)/python -m sabotage_table docs/sabotage.md

trust: $(VENV)/.dev-ready  ## write docs/trust.md: how far verdicts can be trusted here (about three hours, on a quiet machine)
	$(BIN)/python -m benchmarks.trust --results results/trust-$$(date -u +%Y%m%dT%H%M%SZ) --out docs/trust.md

format: $(VENV)/.dev-ready  ## rewrite the code in house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

asv: $(VENV)/.dev-ready  ## a quick asv run of the benchmarks on the installed environment
	cd benchmarks && ../$(BIN)/python -m asv machine --yes
	cd benchmarks && ../$(BIN)/python -m asv run --python=same --quick --set-commit-hash $$(git rev-parse HEAD)

# If your pip offers a CPU build of the pinned torch, or one is installed already, that build is used.
$(VENV)/.run-ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev-ready: requirements-dev.lock $(VENV)/.run-ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.lock
	touch $@

# Versions are resolved in an environment of their own, so that nothing installed by hand gets into the locks. The local
# part of a version (+cpu) names a build, not a version, and is left out.
lock:  ## resolve anew what pyproject.toml allows, and pin it
	rm -rf $(VENV)-lock
	$(PYTHON) -m venv $(VENV)-lock
	$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check setuptools wheel torch==$(TORCH) '.[all]'
	$(VENV)-lock/bin/python -m pip freeze --all --exclude convbench --exclude pip | sed 's/+cpu$$//' > requirements.lock
	$(VENV)-lock/bin/python -m pip install --quiet --disable-pip-version-check torch==$(TORCH) '.[dev]'
	$(VENV)-lock/bin/python -m pip freeze --all --exclude convbench --exclude pip | sed 's/+cpu$$//' > requirements-dev.lock
	rm -rf $(VENV)-lock build

clean:  ## remove the environment and caches; results stay
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .asv benchmarks/.asv
