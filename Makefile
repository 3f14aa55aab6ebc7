# `make help` lists the verbs; each does the set-up that it needs.

PYTHON ?= $(or $(shell for v in 11 12 13; do command -v python3.$$v && break; done),python3)
BIN := .venv/bin
READY := .venv/.ready

# Images are named $(IMAGES)/TARGET:TAG, with one tag for the revision of each step that runs in
# them, and of the program that they start. PUSH=registry/prefix replaces $(IMAGES), and pushes them.
CONTAINER_ENGINE ?= $(shell command -v docker || command -v podman)
TARGETS ?= client base serve train
SOURCE ?= $(or $(shell git config --get remote.origin.url | sed 's,//[^/]*@,//,'),unknown)
IMAGES := $(or $(PUSH),localhost/emotion-ai)
# PLATFORMS=linux/amd64,linux/arm64 builds and pushes images for each of them, as docker buildx can.
BUILD = $(if $(PLATFORMS),buildx build --platform $(PLATFORMS) --push,build)
# NAME@sha256:DIGEST builds on one image for ever; a label records both. Such a build takes nothing from
# the engine's cache, which knows layers without their labels.
BASE_IMAGE ?= $(shell sed -n 's/^ARG PYTHON=//p' docker/Dockerfile)
BASE_DIGEST = $(word 2,$(subst @, ,$(BASE_IMAGE)))
COMMIT = $(or $(shell git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null),unknown)
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

.PHONY: help $(shell sed -n 's/^\([a-z-]*\):.*\#\# .*/\1/p' $(firstword $(MAKEFILE_LIST)))

# Lists the verbs that have a `##` comment.
help:
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 17

$(READY): requirements.lock pyproject.toml setup.py
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) is not installed; name one: make PYTHON=..."; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

sample-data/expression.csv: | $(READY)
	$(BIN)/emotion-ai sample-data sample-data --faces 2000 --seed 1

run: $(READY) sample-data/expression.csv ## draw sample faces and run the whole pipeline: train, gate, release, serve, predict
	$(BIN)/emotion-ai run --keypoints sample-data/keypoints.csv --expression sample-data/expression.csv

TESTS = pytest -n 2 --dist loadfile -m 'not containers and not cluster'
test: $(READY) ## run the tests
	$(BIN)/python -m $(TESTS)

# Every process of the tests is followed, which takes two fifths more of the processor's time.
coverage: $(READY) ## run the tests and check their coverage
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m $(TESTS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=85 | tail -n 1

serve: $(READY) ## serve ./registry over gRPC on port 8500
	$(BIN)/emotion-ai serve --registry ./registry --port 8500

images: $(READY) ## build the steps' images with docker or podman; PUSH=registry/prefix pushes them
	@test -n "$(CONTAINER_ENGINE)" || { echo "make: docker or podman is needed to build images"; exit 2; }
	@test -z "$(findstring PYTHON=,$(BUILD_FLAGS))" || { echo "make: name the base image with BASE_IMAGE=..."; exit 2; }
	@test -z "$(PLATFORMS)" || test -n "$(PUSH)" || { echo "make: name a registry for the images of several platforms: PUSH=registry/prefix"; exit 2; }
	@test -z "$(PLATFORMS)" || $(CONTAINER_ENGINE) buildx version >/dev/null 2>&1 || \
		{ echo "make: PLATFORMS needs docker buildx, which $(CONTAINER_ENGINE) does not have; run make images on a machine of each kind"; exit 2; }
	@for target in $(TARGETS); do \
		tags=$$($(BIN)/python -c "from emotion_ai.pipeline.policy import image_tags; print(*image_tags('$$target'))") || exit 1; \
		names=$$(for tag in $$tags; do echo "$(IMAGES)/$$target:$$tag"; done); \
		$(CONTAINER_ENGINE) $(BUILD) --quiet --file docker/Dockerfile --target $$target \
			$$(for name in $$names; do echo "--tag $$name"; done) $(BUILD_FLAGS) \
			--build-arg PYTHON=$(BASE_IMAGE) \
			--label org.opencontainers.image.base.name=$(firstword $(subst @, ,$(BASE_IMAGE))) \
			$(if $(BASE_DIGEST),--no-cache --label org.opencontainers.image.base.digest=$(BASE_DIGEST)) \
			--label org.opencontainers.image.title="emotion-ai $$target" \
			--label org.opencontainers.image.revision=$(COMMIT) \
			--label org.opencontainers.image.version=$(VERSION) \
			--label org.opencontainers.image.source=$(SOURCE) . >/dev/null || exit 1; \
		for name in $$names; do \
			if [ -n "$(PUSH)" ] && [ -z "$(PLATFORMS)" ]; then $(CONTAINER_ENGINE) push --quiet $$name || exit 1; fi; \
			echo "$$name"; \
		done; \
	done

sbom: $(READY) ## write bills of materials (CycloneDX) of the wheel and the images to build/sbom
	@$(BIN)/python docker/sbom.py build/sbom "$(BASE_IMAGE)" wheel $(TARGETS)

manifests: $(READY) ## write Kubernetes manifests with this revision's images: OVERLAY=local
	@test -n "$(OVERLAY)" || { echo "make: name a folder in k8s/overlays, or the path of yours: OVERLAY=local"; exit 2; }
	@mkdir -p build/manifests
	@$(BIN)/python k8s/manifests.py "$(OVERLAY)" "$(IMAGES)" >build/manifests/.new
	@mv build/manifests/.new build/manifests/$(notdir $(OVERLAY:/=)).yaml
	@echo build/manifests/$(notdir $(OVERLAY:/=)).yaml

lint: $(READY) ## ruff: check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY) ## ruff: fix style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# mypy follows folders, not how they are installed.
typecheck: $(READY) ## mypy: check types
	@rm -rf .venv/typing && mkdir -p .venv/typing/emotion_ai
	@ln -s $(CURDIR)/components/* $(CURDIR)/pipeline .venv/typing/emotion_ai/
	MYPYPATH=.venv/typing $(BIN)/mypy

test-containers: $(READY) ## build the images and run every step in its image; needs docker or podman
	$(BIN)/python -m pytest tests/containers

publish: $(READY) ## upload the pipeline to Kubeflow Pipelines: KFP=http://localhost:8888 SCHEDULE="0 0 3 * * *" ENVIRONMENT=cluster
	@test -n "$(KFP)" || { echo "make: name the address of Kubeflow Pipelines: KFP=http://localhost:8888"; exit 2; }
	@$(BIN)/emotion-ai publish --kfp "$(KFP)" $(if $(SCHEDULE),--schedule "$(SCHEDULE)") \
		$(if $(ENVIRONMENT),--environment "$(ENVIRONMENT)") $(ARGS)

# Builds nothing: `make images TARGETS="base serve"` comes first. The cluster may be broken: nodes are
# drained, and the API server is stopped and started by the commands STOP_API and START_API, if set.
test-cluster: $(READY) ## roll out on the cluster of KUBECONFIG; LOAD_IMAGE="kind load docker-image" puts an image onto its nodes
	$(BIN)/python -m pytest tests/cluster $(ARGS)

# Its first page is build/site/index.html.
site: $(READY) ## build the site of READMEs, tutorials and API pages, offline: build/site
	rm -rf build/site
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --conf-dir tests/tutorials --doctree-dir build/site-cache . build/site
	@echo build/site/index.html

conformance: $(READY) ## test a running server: SERVER=host:port [REST=host:port] [TLS_CA= TLS_CERTIFICATE= TLS_KEY= TLS_NAME=]
	@test -n "$(SERVER)" || { echo "make: name a server that serves a release of emotion_ai: SERVER=127.0.0.1:8500"; exit 2; }
	CONFORMANCE_SERVER="$(SERVER)" CONFORMANCE_REST="$(REST)" CONFORMANCE_TLS_CA="$(TLS_CA)" \
		CONFORMANCE_TLS_CERTIFICATE="$(TLS_CERTIFICATE)" CONFORMANCE_TLS_KEY="$(TLS_KEY)" CONFORMANCE_TLS_NAME="$(TLS_NAME)" \
		$(BIN)/python -m pytest --verbose -rs tests/server/test_conformance.py \
		tests/server/test_conformance_refusals.py tests/server/test_metadata.py \
		tests/server/test_conformance_running.py $(ARGS)

ship: $(READY) ## make a release the pretrained networks: REGISTRY=registry RELEASE=1 COMMAND="emotion-ai run ..."
	@test -n "$(COMMAND)" || { echo "make: name the command that made the release, for the model card: COMMAND=\"emotion-ai run ...\""; exit 2; }
	$(BIN)/python -m emotion_ai.pipeline.pretrained $(REGISTRY) $(RELEASE) "$(COMMAND)"

ship-refusal: $(READY) ## fit when the pretrained networks give no answer: KEYPOINTS=keypoints.csv.gz EXPRESSION=fer2013.csv.gz
	@test -n "$(KEYPOINTS)" && test -n "$(EXPRESSION)" || { echo "make: name the faces that they were trained on: KEYPOINTS=... EXPRESSION=..."; exit 2; }
	$(BIN)/python -m emotion_ai.pipeline.pretrained_refusal "$(KEYPOINTS)" "$(EXPRESSION)"

lock: $(READY) ## update requirements.lock: every dependency pinned for all machines, with hashes
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --upgrade --generate-hashes --no-header \
		--annotation-style line --output-file requirements.lock --quiet
	echo 'tensorflow[and-cuda]==2.20.*' | $(BIN)/uv pip compile - --no-config --constraint requirements.lock \
		--python-version 3.11 --upgrade --generate-hashes --no-header --no-annotate \
		--output-file docker/requirements-gpu.lock --quiet

bench: $(READY) $(if $(filter images,$(NAME)),images) ## run a benchmark: NAME=serve ARGS="--requests 1000"; without NAME, list them
	@$(BIN)/python tests/benchmarks "$(NAME)" $(ARGS)

clean: ## remove what runs, tests and set-up have written, but not ./registry
	rm -rf .venv .emotion-ai build sample-data emotion-ai*.yaml .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
