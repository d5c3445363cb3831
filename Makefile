PYTHON ?= python3
BIN := .venv/bin

.PHONY: help
help: ## Show what each target does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

.venv/.installed: requirements.lock pyproject.toml
	@echo "Installing the locked packages into .venv (a few minutes the first time) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 ..."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@$(BIN)/deploy kernel install --sys-prefix
	@touch $@

.PHONY: install
install: .venv/.installed ## Install the locked packages into .venv

.PHONY: report
report: .venv/.installed ## Run the main job on the embedded sample estate, without an AWS account
	@$(BIN)/deploy rehearse --out runs

.PHONY: check
check: .venv/.installed ## Lint, format and type checks
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

.PHONY: test
test: check ## All tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: quick
quick: check ## The tests that take seconds
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not slow and not browser and not terraform"

.PHONY: search
search: .venv/.installed ## Look for new counterexamples to the properties, with examples nobody has tried
	@HYPOTHESIS_PROFILE=search $(BIN)/python -m pytest -n 2 --dist loadfile -m "not browser and not terraform" tests

.PHONY: lock
lock: ## Resolve the newest versions into requirements.lock (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes \
	  --no-header --no-annotate --no-emit-index-url --output-file requirements.lock pyproject.toml
