# Two commands do all their own set-up: `make demo` and `make test`.
# Needed: Python >= 3.11 with venv, make, and a C++ compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-output

.PHONY: demo test check lint types examples bench sanitize clean

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
	$(BIN)/python -m pytest -q docs/test_documentation.py

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

check: lint types test examples ## all that CI does

clean:
	rm -rf $(VENV) build dist $(OUT)
