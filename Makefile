# The README's two commands are `make demo` and `make test`; each sets up everything it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Nothing phones home, whatever a test or a benchmark imports.
export ORT_DISABLE_TELEMETRY := 1
export HF_HUB_DISABLE_TELEMETRY := 1

DEMO_MODEL ?= SmolLM2-135M-Instruct
DEMO_QUANT ?= mobile-4bit
DEMO_ARTIFACT := artifacts/$(DEMO_MODEL)-$(DEMO_QUANT)

.PHONY: demo test soak lint bench clean help
.DEFAULT_GOAL := help

help: ## Show the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

demo: $(VENV)/.demo ## Convert a real model, profile it on a virtual phone and on this machine
	slm runtime build
	slm convert $(DEMO_MODEL) --quant $(DEMO_QUANT) -o $(DEMO_ARTIFACT) --force
	@# One shell, so that the virtual phones are stopped however it ends.
	@set -e; trap 'slm devices stop' EXIT; \
	phone=$$(slm devices emulate --count 2 | head -n 1); set -x; \
	slm devices list; \
	slm profile $(DEMO_ARTIFACT) --device $$phone --device local --threads 2; \
	slm generate $(DEMO_ARTIFACT) --device $$phone --chat --prompt "Who are you?"; \
	slm results list

test: $(VENV)/.test lint ## Set up and run all tests (under 25 minutes on 2 cores)
	$(BIN)/pytest -m "not soak"

soak: $(VENV)/.test ## Slow checks: sanitizers, long fault runs
	$(BIN)/pytest -m soak

lint: $(VENV)/.test ## Formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.test ## Our runner beside its peers; writes benchmarks/results/latest.md
	$(BIN)/python -m benchmarks

clean: ## Remove what the other targets made in this folder
	rm -rf $(VENV) .venvs artifacts build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet -e '.[convert,runner]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet -e '.[dev]'
	@touch $@ $(VENV)/.demo
