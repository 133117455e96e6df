# The front door. `make help` lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION := 0.1.0
STEPS := $(patsubst steps/%/src/main.rs,%,$(wildcard steps/*/src/main.rs))
SERVICES := $(patsubst services/%/src/main.rs,%,$(wildcard services/*/src/main.rs))
# `make images IMAGES=cloudevent-interceptor` builds and pushes one.
IMAGES ?= $(STEPS) $(SERVICES)

# Static binaries: musl where rustup has it, static glibc where nothing is to be installed. A panic
# aborts, so nothing reads unwind tables.
HOST := x86_64-unknown-linux
TARGET := $(HOST)-$(if $(findstring $(HOST)-musl,$(shell rustup target list --installed 2>/dev/null)),musl,gnu)
STATIC := RUSTFLAGS="-C target-feature=+crt-static -C force-unwind-tables=no" cargo build --locked --target $(TARGET)
RELEASE := target/$(TARGET)/release

# Where `make images` pushes to. The embedded cluster's registry serves ghcr.io/kanaria from here.
REGISTRY ?= 127.0.0.1:5000/kanaria
BUILDAH := buildah --storage-driver vfs --root $(CURDIR)/target/images/store --runroot $(CURDIR)/target/images/run

.PHONY: help demo test check notebook-tests bentoml-tests lifecycle-tests cluster-tests images cluster-up cluster-down soak bench clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: images ## Four releases of one model on the real cluster: a first, a good, a broken and a refusing one
	@cargo run -q -p demo

test: check notebook-tests bentoml-tests lifecycle-tests cluster-tests ## Everything: check, then all that needs root, Python or the cluster

check: ## Format, lints, unit, property, step and catalog tests; needs no root and no cluster
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked

notebook-tests: ## The notebook executed, and its events read by the SDK that it uses; needs Python 3.11
	cd examples/iris && $$(./venv) -m unittest discover
	KANARIA_PYTHON=$$(examples/iris/venv) cargo test --locked --workspace --test python -- --ignored

bentoml-tests: ## Archives of real releases of BentoML, 0.9 to 1.4; the first time installs them, some 10 minutes
	cargo test --locked --workspace --test generations -- --ignored --nocapture

lifecycle-tests: cluster-up ## The cluster itself: started twice, killed, taken down
	cargo test --locked --workspace --test lifecycle -- --ignored --test-threads=1

cluster-tests: images ## The tests on the real cluster and on its real parts
	cargo test --locked --workspace --test server -- --ignored
	cargo test --locked --workspace --test cluster -- --ignored --skip soak:: --test-threads=$(CLUSTER_TEST_THREADS)

# Releases wait more than they compute, so a few can go on at once on two cores.
CLUSTER_TEST_THREADS ?= 4

images: cluster-up target/images/binaries ## Build the images and push them to REGISTRY
	@for image in $(IMAGES); do \
	  $(BUILDAH) bud --quiet --isolation chroot --format oci --layers=false --timestamp 0 --pull-never \
	    --build-arg BINARIES=localhost/kanaria/binaries --target $$image --tag localhost/kanaria/$$image \
	    --file Dockerfile target/images/context > /dev/null; \
	  $(BUILDAH) push --quiet --tls-verify=false --compression-format gzip --compression-level 9 \
	    localhost/kanaria/$$image docker://$(REGISTRY)/$$image:$(VERSION); \
	  echo "  pushed $(REGISTRY)/$$image:$(VERSION)"; \
	done

# One image with all binaries, from which the Dockerfile's targets take theirs.
.PHONY: target/images/binaries
target/images/binaries:
	@echo "compiling the steps and services for $(TARGET)"
	@$(STATIC) --release $(patsubst %,-p %,$(IMAGES) model)
	@rm -rf target/images/context && mkdir -p target/images/context/out
	@cp $(patsubst %,$(RELEASE)/%,$(IMAGES)) /etc/ssl/certs/ca-certificates.crt target/images/context/out/
	@printf 'FROM scratch\nCOPY out /out\n' | $(BUILDAH) bud --quiet --isolation chroot --format oci --layers=false \
	  --timestamp 0 --tag localhost/kanaria/binaries --file - target/images/context > /dev/null

cluster-up: ## Bring the one-node cluster up (the first time builds its engines, some 15 minutes)
	@cargo run -q --locked -p cluster -- up

cluster-down: ## Remove the cluster and all it left on the machine; the cache stays
	@cargo run -q --locked -p cluster -- down

# One test at a time and nothing beside it: the second one kills the API server and Prometheus.
soak: images ## Twenty releases while steps, runs and the API server are killed; SOAK_SEED=N repeats one. Half an hour
	cargo test --locked --workspace --test cluster -- --ignored soak:: --test-threads=1 --nocapture

bench: ## Benchmarks, as ratios within one run
	cargo bench --workspace --locked

clean: ## Remove what was built here; the cluster's cache stays
	cargo clean
