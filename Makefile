# `make demo` and `make test` work in a fresh clone: the first call sets up .venv.

PYTHON ?= python3
# One worker per core: most tests are small, and TensorFlow leaves cores idle.
PYTEST_ARGUMENTS ?= --numprocesses auto
DEMO_ARGUMENTS ?=

# tensorflow-cpu is half the download, but there are wheels for Linux on x86 only.
ifneq ($(shell command -v nvidia-smi),)
TENSORFLOW ?= tensorflow[and-cuda]>=2.18
else ifeq ($(shell uname -sm),Linux x86_64)
TENSORFLOW ?= tensorflow-cpu>=2.18
else
TENSORFLOW ?= tensorflow>=2.18
endif
# Its dependency `tensorflow` would be installed over tensorflow-cpu.
SERVING_API ?= tensorflow-serving-api>=2.18

.DEFAULT_GOAL := help
.PHONY: help demo test lint format notebook clean

help:
	@echo "make demo      train an autoencoder with LocoProp and with Adam, draw quickstart.png"
	@echo "make test      run the tests"
	@echo "make lint      check with ruff"
	@echo "make format    let ruff put the code into its format"
	@echo "make notebook  write tutorials/quickstart.ipynb anew from quickstart.py"
	@echo "make clean     remove .venv and caches"

# The stamp makes every call but the first go straight to work.
.venv/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet "$(TENSORFLOW)" --editable ".[tests]"
	.venv/bin/python -m pip install --quiet --no-deps "$(SERVING_API)"
	touch $@

demo: .venv/installed
	.venv/bin/python tutorials/quickstart.py $(DEMO_ARGUMENTS)

test: .venv/installed
	.venv/bin/python -m pytest $(PYTEST_ARGUMENTS)

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: .venv/installed
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

notebook: .venv/installed
	.venv/bin/python tutorials/make_notebook.py

clean:
	rm -rf .venv .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
