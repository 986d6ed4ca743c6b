# Two commands do all their own set-up: `make demo` and `make test`.
# Needed: Python >= 3.11 with venv, make, and a C++ compiler.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-output

.PHONY: demo test check lint types examples clean

# The environment is remade when the project's description changes.
$(VENV)/ready: pyproject.toml
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

check: lint types test examples ## all that CI does

clean:
	rm -rf $(VENV) build dist $(OUT)
