# Needs Python >= 3.11, pip and make only: every target first sets up the environment in $(VENV).
# A smaller torch, without CUDA: make demo TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu

VENV ?= .venv
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; \
	done)
TORCH_INDEX_URL ?=

BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PIP_INSTALL := $(BIN)/python -m pip install --quiet --constraint constraints.txt

.PHONY: demo test check lint bench docs install

demo: install
	$(BIN)/wsikd demo

test: install
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

check: lint test

lint: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	$(BIN)/python -m pytest tests/benchmarks --benchmark-only

docs: install
	$(BIN)/python -m wsikd.cli.reference docs/reference/commands.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "site/index.html is the site; with search: $(BIN)/mkdocs serve"

install: $(INSTALLED)

# torch first and alone, as it may come from an index of its own; its dependencies follow
$(INSTALLED): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "make: needs Python >= 3.11; name it with PYTHON=" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --no-deps $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) torch
	$(PIP_INSTALL) --editable '.[dev]'
	touch $@
