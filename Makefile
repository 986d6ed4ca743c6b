# Two commands do all their own set-up: `make demo` and `make test`.
# Needed: Python >= 3.11 with venv, make, and a C++ compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-output

WHEEL_ENV := build/wheel-env
# What tests an installed package: the equations, the engines, files, what people call and type.
WHEEL_TESTS := tests/engines tests/equations tests/network tests/formula tests/explain/trace \
	tests/explain/check tests/tabular tests/test_public_api.py tests/test_published_examples.py

.PHONY: demo test check lint types examples wheel bench sanitize clean

# The environment is remade when the description of the project or the compiled core changes.
$(VENV)/ready: pyproject.toml CMakeLists.txt $(wildcard native/*.?pp native/*/*.?pp)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

demo: $(VENV)/ready ## train on handwritten digits, test, write model and learning curves
	@mkdir -p $(OUT)
	$(BIN)/deltarule train digits --target target -o $(OUT)/digits.safetensors --plot $(OUT)/digits.png

test: $(VENV)/ready ## run all tests
	$(BIN)/python -m pytest -n auto

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/ready
	$(BIN)/mypy

examples: $(VENV)/ready ## run the commands and code of README and docs, compare what they print
	$(BIN)/python -m pytest -q -n auto docs/test_documentation.py

# The wheel is built from the sdist, holds what it should, and passes its tests in an environment of
# its own, in which nothing can be compiled and the sources are not to be found.
wheel: $(VENV)/ready ## build sdist and wheel into dist/, and test them
	rm -rf dist $(WHEEL_ENV)
	$(BIN)/python -m build --outdir dist
	$(BIN)/python -m pytest -q .ci/test_distributions.py
	$(PYTHON) -m venv $(WHEEL_ENV)
	$(WHEEL_ENV)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: \
		"$$(echo dist/*.whl)[test]"
	env -u PYTHONPATH $(WHEEL_ENV)/bin/python -c "import deltarule._core"
	env -u PYTHONPATH $(WHEEL_ENV)/bin/python -m pytest -n auto $(WHEEL_TESTS)

bench: $(VENV)/ready ## time us and every installed peer (torch, jax, keras, numba) in one run
	$(BIN)/python -m benchmarks

# The core and its own tests under the address and undefined-behaviour sanitizers, then under the
# thread sanitizer, at every CPU level of this machine.
sanitize:
	cmake -S . -B build/asan -DDELTARULE_SANITIZE=address,undefined
	cmake --build build/asan --parallel 2
	ctest --test-dir build/asan --output-on-failure
	cmake -S . -B build/tsan -DDELTARULE_SANITIZE=thread
	cmake --build build/tsan --parallel 2
	ctest --test-dir build/tsan --output-on-failure

check: lint types examples test ## all that CI does

clean:
	rm -rf $(VENV) build dist $(OUT)
