# The README's two commands are `make demo` and `make test`; each sets up everything it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Nothing phones home, whatever a test or a benchmark imports.
export ORT_DISABLE_TELEMETRY := 1
export HF_HUB_DISABLE_TELEMETRY := 1

# What several programs share is compiled once, where there is a compiler cache.
ifneq ($(shell command -v ccache),)
export CMAKE_CXX_COMPILER_LAUNCHER ?= ccache
endif

DEMO_MODEL ?= SmolLM2-135M-Instruct
DEMO_QUANT ?= mobile-4bit
DEMO_ARTIFACT := artifacts/$(DEMO_MODEL)-$(DEMO_QUANT)

.PHONY: demo arm64-demo app-demo test test-quick soak lint bench docs clean help
.DEFAULT_GOAL := help

help: ## Show the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1\t/'

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

arm64-demo: $(VENV)/.arm64 ## Both engines on a virtual arm64 phone, emulated by qemu
	@# Speed means nothing under qemu, so a tiny model of random weights does.
	@set -e; trap 'slm devices stop' EXIT; \
	phone=$$(slm devices emulate --abi arm64-v8a | head -n 1); set -x; \
	for engine in onnxruntime executorch; do \
	  slm convert random:llama-tiny --quant 8da4w --backend $$engine -o artifacts/tiny-$$engine --force; \
	  slm profile artifacts/tiny-$$engine --device $$phone --prompt-tokens 32 --generate-tokens 8 --repetitions 2; \
	  slm generate artifacts/tiny-$$engine --device $$phone --prompt "Hello" --max-tokens 8; \
	done; \
	slm results list

app-demo: $(VENV)/.demo ## A profile and a chat through the Android app's code, on a virtual phone
	slm convert $(DEMO_MODEL) --quant $(DEMO_QUANT) -o $(DEMO_ARTIFACT) --force
	@set -e; trap 'slm devices stop' EXIT; \
	phone=$$(slm devices emulate | head -n 1); set -x; \
	slm app install --device $$phone; \
	slm profile $(DEMO_ARTIFACT) --device $$phone --runner app --threads 2; \
	slm profile $(DEMO_ARTIFACT) --device $$phone --threads 2; \
	slm results compare --axis runner; \
	slm app chat $(DEMO_ARTIFACT) --device $$phone --prompt "Who are you?" --prompt "Say it in five words."

# Tests at a time; those marked serial follow one by one.
WORKERS ?= 2

test: $(VENV)/.test lint ## Set up and run all tests (30 to 35 minutes on 2 cores)
	@# Compiled ahead: tests that start the runner have limits of their own. Without a compiler they are skipped.
	-for engine in onnxruntime executorch; do slm runtime build --engine $$engine; done
	@# Both parts run, whatever fails in the first; after Ctrl-C the first one cleans up and the second is left out.
	@# What was skipped in either is said at the end of the last, which reads only files that have such tests.
	@export SLM_SKIP_REASONS=$$(mktemp); trap 'rm -f $$SLM_SKIP_REASONS' EXIT; trap 'exit 130' INT; failed=0; set -x; \
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not soak and not serial" || failed=1; \
	$(BIN)/pytest -m "serial and not soak" $$(grep -rl --include='test_*.py' 'mark\.serial' tests) || failed=1; \
	exit $$failed

# What needs no model, no device, no compiler.
QUICK := analysis benchmarks chat chat_template compress docs models requests store recipes/test_recipes_schema.py \
  recipes/test_recipes_matrix.py test_*.py

test-quick: $(VENV)/.test ## The tests of pure code (about 2 minutes on 2 cores)
	$(BIN)/pytest -n $(WORKERS) --dist worksteal -m "not soak and not serial" $(addprefix tests/,$(QUICK))

soak: $(VENV)/.test ## Slow checks: sanitizers, long fault runs
	$(BIN)/pytest -m soak

lint: $(VENV)/.test ## Formatting, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	find device_runner android_app -name 'build*' -prune -o \( -name '*.cpp' -o -name '*.h' \) -print | \
	  xargs $(BIN)/clang-format --dry-run --Werror

bench: $(VENV)/.test ## Our runner beside its peers; writes benchmarks/results/latest.md
	$(BIN)/python -m benchmarks

docs: $(VENV)/.test ## Write docs/reference from the code
	$(BIN)/python -m docs.generate

clean: ## Remove what the other targets made in this folder
	rm -rf $(VENV) .venvs artifacts benchmarks/out build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet -e '.[convert,executorch,runner,report,serve]'
	@touch $@

$(VENV)/.arm64: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet -e '.[convert,executorch,runner]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/pip install --quiet -e '.[dev]'
	@touch $@ $(VENV)/.demo
