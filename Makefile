# All targets work in a fresh clone: the first call sets up an environment, .venv
# or, for JAX, PyTorch and the oldest Keras, .venv-jax and so on.

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

# Where the file for CUDA is asked for by name alone, a version, or an index of
# PyTorch's own, gets the one for CPUs.
JAX ?= jax>=0.7
TORCH ?= torch>=2.6
# The lowest versions that setup.cfg allows.
OLDEST ?= keras==3.11.0 tensorflow-cpu==2.18.0
# What leans on Keras most, and a core of the rest.
OLDEST_TESTS ?= tests/keras_private_test.py tests/backend/interface_test.py \
	tests/models_test.py tests/optimizer_test.py tests/golden_test.py \
	tests/automatic_step_test.py tests/contract/serialization_test.py \
	tests/model_graph_test.py tests/first_batch_test.py

.DEFAULT_GOAL := help
.PHONY: help demo test test-jax test-torch test-oldest test-agreement \
	test-peers lint format notebook clean

help:
	@echo "make demo      train an autoencoder with LocoProp and with Adam, draw quickstart.png"
	@echo "make test      run the tests, on TensorFlow"
	@echo "make test-jax, make test-torch"
	@echo "               run their core on another backend of Keras"
	@echo "make test-agreement"
	@echo "               compare the weights that all backends come to"
	@echo "make test-peers"
	@echo "               compare the benchmarks' networks in the peers' libraries with Keras's"
	@echo "make test-oldest"
	@echo "               run some of them with the oldest Keras supported"
	@echo "make lint      check with ruff"
	@echo "make format    let ruff put the code into its format"
	@echo "make notebook  write tutorials/quickstart.ipynb anew from quickstart.py"
	@echo "make clean     remove the environments and caches"

# The stamp makes every call but the first go straight to work.
.venv/installed: setup.cfg pyproject.toml Makefile
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet "$(TENSORFLOW)" --editable ".[tests]"
	.venv/bin/python -m pip install --quiet --no-deps "$(SERVING_API)"
	touch $@

.venv-jax/installed: PACKAGES = $(JAX)
.venv-torch/installed: PACKAGES = $(TORCH)
.venv-oldest/installed: PACKAGES = $(OLDEST)
.venv-%/installed: setup.cfg pyproject.toml Makefile
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet $(foreach p,$(PACKAGES),"$(p)") \
		--editable ".[coretests]"
	touch $@

# Each beside what it needs, which is not what the others do.
.venv-kfac/installed: PACKAGES = jax==0.6.2 kfac-jax==0.0.8
.venv-peers/installed: PACKAGES = $(TORCH) pytorch_optimizer==4.1.0 locoprop==0.1.0
.venv-kfac/installed .venv-peers/installed: .venv-%/installed: Makefile
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet $(foreach p,$(PACKAGES),"$(p)")
	touch $@

demo: .venv/installed
	.venv/bin/python tutorials/quickstart.py $(DEMO_ARGUMENTS)

test: .venv/installed
	.venv/bin/python -m pytest $(PYTEST_ARGUMENTS)

test-jax test-torch: test-%: .venv-%/installed
	KERAS_BACKEND=$* .venv-$*/bin/python -m pytest $(PYTEST_ARGUMENTS)

test-agreement: .venv/installed .venv-jax/installed .venv-torch/installed
	PYTHON_WITH_JAX=$(CURDIR)/.venv-jax/bin/python \
	PYTHON_WITH_TORCH=$(CURDIR)/.venv-torch/bin/python \
	.venv/bin/python -m pytest tests/backend/agreement_test.py

test-peers: .venv/installed .venv-kfac/installed .venv-peers/installed
	KFAC_PYTHON=$(CURDIR)/.venv-kfac/bin/python \
	TORCH_PYTHON=$(CURDIR)/.venv-peers/bin/python \
	.venv/bin/python -m pytest $(PYTEST_ARGUMENTS) \
		tests/benchmarks/comparison/frameworks_test.py

test-oldest: .venv-oldest/installed
	.venv-oldest/bin/python -m pytest $(PYTEST_ARGUMENTS) $(OLDEST_TESTS)

lint: .venv/installed
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

format: .venv/installed
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

notebook: .venv/installed
	.venv/bin/python tutorials/make_notebook.py

clean:
	rm -rf .venv .venv-* .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
