# The verbs of the README. `make run` and `make test` do all the set-up themselves.

PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help run test serve bench-kill bench-fuzz bench-client bench-detectors bench-framing lint format typecheck lock clean

help: ## what each verb does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 17

$(READY): requirements.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not here; name one: make PYTHON=..."; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

sample-data/keypoints.csv: | $(READY)
	$(BIN)/emotion-ai sample-data sample-data --faces 2000 --seed 1

run: $(READY) sample-data/keypoints.csv ## draw sample faces, train, gate, release, serve, ask: the whole pipeline
	$(BIN)/emotion-ai run --keypoints sample-data/keypoints.csv --expressions sample-data/expressions.csv

test: $(READY) ## run the tests, with the coverage floor
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=85 | tail -n 1

bench-fuzz: $(READY) ## damaged bytes for every reader of files: make bench-fuzz N=10000
	$(BIN)/python tests/benchmarks/fuzz.py $(or $(N),10000)

serve: $(READY) ## serve ./registry over gRPC on port 8500
	$(BIN)/emotion-ai serve --registry ./registry --port 8500

bench-kill: $(READY) ## kill pushes and rollouts at random moments: make bench-kill N=200
	$(BIN)/python tests/benchmarks/kills.py $(or $(N),200)

bench-client: $(READY) ## what a photograph costs: make bench-client SERVER=127.0.0.1:8500
	$(BIN)/python tests/benchmarks/bench_client.py $(or $(SERVER),127.0.0.1:8500)

bench-detectors: $(READY) ## face detectors: faces found, false alarms, time
	$(BIN)/python tests/benchmarks/bench_detectors.py

bench-framing: $(READY) ## which margin around a face a release reads best: SERVER=HOST:PORT
	$(BIN)/python tests/benchmarks/bench_framing.py $(or $(SERVER),127.0.0.1:8500)

lint: $(READY) ## ruff: style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## ruff: put style and formatting right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

typecheck: $(READY) ## mypy
	$(BIN)/mypy

lock: $(READY) ## pin every dependency anew, with hashes
	$(BIN)/uv pip compile pyproject.toml --extra dev --upgrade --generate-hashes --no-header \
		--no-annotate --output-file requirements.lock --quiet

clean: ## remove what runs, tests and set-up left behind
	rm -rf .venv .emotion-ai registry sample-data emotion-ai*.yaml .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
