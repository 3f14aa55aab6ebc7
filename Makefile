# The verbs of the README. `make run` and `make test` do all the set-up themselves.

PYTHON ?= python3.11
BIN := .venv/bin
READY := .venv/.ready

# Images are $(IMAGES)/TARGET:TAG, with a tag for the revision of each step that runs in them;
# with PUSH=registry/prefix they are that, and are pushed.
CONTAINER_ENGINE ?= $(shell command -v docker || command -v podman)
TARGETS ?= client base serve train
SOURCE ?= $(or $(shell git config --get remote.origin.url | sed 's,//[^/]*@,//,'),unknown)
IMAGES := $(or $(PUSH),localhost/emotion-ai)
COMMIT = $(or $(shell git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null),unknown)
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## what each verb does
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 17

$(READY): requirements.lock pyproject.toml setup.py
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not here; name one: make PYTHON=..."; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

sample-data/keypoints.csv: | $(READY)
	$(BIN)/emotion-ai sample-data sample-data --faces 2000 --seed 1

run: $(READY) sample-data/keypoints.csv ## draw sample faces, train, gate, release, serve, ask: the whole pipeline
	$(BIN)/emotion-ai run --keypoints sample-data/keypoints.csv --expression sample-data/expression.csv

test: $(READY) ## run the tests, with the coverage floor
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -m 'not containers'
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=85 | tail -n 1

test-containers: $(READY) ## build the images and run every step in its own: needs docker or podman
	$(BIN)/python -m pytest tests/containers

bench-fuzz: $(READY) ## damaged bytes for every reader of files: make bench-fuzz N=10000
	$(BIN)/python tests/benchmarks/bench_fuzz.py $(or $(N),10000)

serve: $(READY) ## serve ./registry over gRPC on port 8500
	$(BIN)/emotion-ai serve --registry ./registry --port 8500

images: $(READY) ## build the steps' images with docker or podman; PUSH=registry/prefix pushes them
	@test -n "$(CONTAINER_ENGINE)" || { echo "make: docker or podman is needed to build images"; exit 2; }
	@for target in $(TARGETS); do \
		tags=$$($(BIN)/python -c "from emotion_ai.pipeline.policy import image_tags; print(*image_tags('$$target'))") || exit 1; \
		names=$$(for tag in $$tags; do echo "$(IMAGES)/$$target:$$tag"; done); \
		$(CONTAINER_ENGINE) build --quiet --file docker/Dockerfile --target $$target \
			$$(for name in $$names; do echo "--tag $$name"; done) $(BUILD_FLAGS) \
			--label org.opencontainers.image.title="emotion-ai $$target" \
			--label org.opencontainers.image.revision=$(COMMIT) \
			--label org.opencontainers.image.version=$(VERSION) \
			--label org.opencontainers.image.source=$(SOURCE) . >/dev/null || exit 1; \
		for name in $$names; do \
			if [ -n "$(PUSH)" ]; then $(CONTAINER_ENGINE) push --quiet $$name || exit 1; fi; \
			echo "$$name"; \
		done; \
	done

bench-images: images ## sizes of the images, and how fast a step starts in its own
	$(BIN)/python tests/benchmarks/bench_images.py

bench-serve: $(READY) ## the server against its model in process: make bench-serve N=300000 PEER=a-python-with-fer
	$(BIN)/python tests/benchmarks/bench_serve.py --requests $(or $(N),300000) $(if $(PEER),--peer-python $(PEER))

bench-kill: $(READY) ## kill pushes and rollouts at random moments: make bench-kill N=200
	$(BIN)/python tests/benchmarks/bench_kill.py $(or $(N),200)

bench-sources: $(READY) ## ten times the rows, time and memory: make bench-sources N=30000
	$(BIN)/python tests/benchmarks/bench_sources.py --rows $(or $(N),3000) --form $(or $(FORM),csv)

ship: $(READY) ## take a release into the package as its pretrained networks: make ship REGISTRY=registry RELEASE=1 COMMAND="emotion-ai run ..."
	@test -n "$(COMMAND)" || { echo "make: say what made the release, for the card: COMMAND=\"emotion-ai run ...\""; exit 2; }
	$(BIN)/python -m emotion_ai.pipeline.pretrained $(REGISTRY) $(RELEASE) "$(COMMAND)"

bench-train: $(READY) ## training against plain PyTorch: make bench-train PYTORCH=a-python-with-torch
	$(BIN)/python tests/benchmarks/bench_train.py --pytorch "$(PYTORCH)"

bench-memory: $(READY) ## peak memory of training, also with ten times the rows
	$(BIN)/python tests/benchmarks/bench_memory.py --rows $(or $(N),28709)

bench-ingest: $(READY) ## reading faces against pandas: make bench-ingest FILE=fer2013.csv
	@test -f "$(FILE)" || { echo "make: name a CSV of expressions that is here: make bench-ingest FILE=fer2013.csv"; exit 2; }
	$(BIN)/python tests/benchmarks/bench_ingest.py $(FILE)

bench-client: $(READY) ## what a photograph costs: make bench-client SERVER=127.0.0.1:8500
	$(BIN)/python tests/benchmarks/bench_client.py $(or $(SERVER),127.0.0.1:8500)

bench-detectors: $(READY) ## face detectors: faces found, false alarms, time
	$(BIN)/python tests/benchmarks/bench_detectors.py

bench-framing: $(READY) ## which margin around a face a release reads best: SERVER=HOST:PORT
	$(BIN)/python tests/benchmarks/bench_framing.py $(or $(SERVER),127.0.0.1:8500)

bench-watch: $(READY) ## what watching a video costs: make bench-watch SERVER=127.0.0.1:8500
	$(BIN)/python tests/benchmarks/bench_watch.py $(or $(SERVER),127.0.0.1:8500)

lint: $(READY) ## ruff: style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## ruff: put style and formatting right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# mypy follows folders, not how they are installed.
typecheck: $(READY) ## mypy
	@rm -rf .venv/typing && mkdir -p .venv/typing/emotion_ai
	@ln -s $(CURDIR)/components/* $(CURDIR)/pipeline .venv/typing/emotion_ai/
	MYPYPATH=.venv/typing $(BIN)/mypy

lock: $(READY) ## pin every dependency anew, with hashes
	$(BIN)/uv pip compile pyproject.toml --extra dev --upgrade --generate-hashes --no-header \
		--annotation-style line --output-file requirements.lock --quiet
	echo 'tensorflow[and-cuda]==2.20.*' | $(BIN)/uv pip compile - --no-config --constraint requirements.lock \
		--python-version 3.11 --upgrade --generate-hashes --no-header --no-annotate \
		--output-file docker/requirements-gpu.lock --quiet

clean: ## remove what runs, tests and set-up left behind
	rm -rf .venv .emotion-ai registry sample-data emotion-ai*.yaml .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
