# Thin: every target is one command. `make setup` runs by itself when the lock changed.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup run test ui bench lint torture

setup: .venv/.ready

# From scratch, as a set-up that was interrupted leaves half-written packages.
.venv/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	$(BIN)/python -m compileall -q dagster_project ml expectations
	$(BIN)/python -c 'from dagster_project.transform import prepare_manifest; prepare_manifest()'
	touch $@

run: setup
	$(BIN)/throughline run

ui: setup
	$(BIN)/throughline ui

# Two processes, a file's tests in one of them; a session's nights are built once for both.
test: setup
	$(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/sqlfmt --check dbt
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m tests.bench

torture: setup
	$(BIN)/python -m pytest -q -m torture
