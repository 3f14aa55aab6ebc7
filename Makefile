# The verbs of the README. `make run` and `make test` do all the set-up themselves.

PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help run test serve bench-kill bench-fuzz bench-sources bench-ingest bench-train ship lint format typecheck lock clean

help: ## what each verb does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

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

bench-sources: $(READY) ## ten times the rows, time and memory: make bench-sources N=30000
	$(BIN)/python tests/benchmarks/bench_sources.py --rows $(or $(N),3000) --form $(or $(FORM),csv)

ship: $(READY) ## take a release into the package as its pretrained networks: make ship REGISTRY=registry RELEASE=1
	$(BIN)/python -m pipeline.shipping $(REGISTRY) $(RELEASE)

bench-train: $(READY) ## training against plain PyTorch: make bench-train PYTORCH=a-python-with-torch
	$(BIN)/python tests/benchmarks/bench_train.py --pytorch "$(PYTORCH)"

bench-ingest: $(READY) ## reading faces against pandas: make bench-ingest FILE=fer2013.csv
	@test -f "$(FILE)" || { echo "make: name a CSV of expressions that is here: make bench-ingest FILE=fer2013.csv"; exit 2; }
	$(BIN)/python tests/benchmarks/bench_ingest.py $(FILE)

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
