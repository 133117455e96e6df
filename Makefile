# The front door. `make help` lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION := 0.1.0
STEPS := $(patsubst steps/%/src/main.rs,%,$(wildcard steps/*/src/main.rs))
SERVICES := $(patsubst services/%/src/main.rs,%,$(wildcard services/*/src/main.rs))
# kaniko's tag, from the Task that runs it
KANIKO := $(shell sed -n 's|.*image: ghcr.io/kanaria/kaniko:||p' tasks/bento-build/bento-build.yaml)

# Where `make images` pushes to: the embedded cluster's registry, which serves ghcr.io/kanaria from
# there, or one of yours, for which no cluster is started. The builder's own login is used.
EMBEDDED := 127.0.0.1:5000/kanaria
REGISTRY ?= $(EMBEDDED)
ELSEWHERE := $(filter-out $(EMBEDDED),$(REGISTRY))
# `make images IMAGES=cloudevent-interceptor` builds and pushes one. The cluster has kaniko already.
IMAGES ?= $(STEPS) $(SERVICES) $(if $(ELSEWHERE),kaniko)
comma := ,
# linux/amd64, linux/arm64 or, joined by a comma, both. examples/site/README.md says what arm64 needs.
PLATFORMS ?= linux/amd64
# The first that is installed; docker with its plugin buildx.
BUILDERS := buildah podman docker
BUILDER ?= $(or $(firstword $(foreach name,$(BUILDERS),$(shell command -v $(name) > /dev/null && echo $(name)))),\
  $(error failed to find a builder of images: install one of $(BUILDERS), or name yours as BUILDER))

# Static binaries: musl where rustup has it, static glibc where nothing is to be installed. For another
# machine's processor zig compiles C and links.
ARCHITECTURE_amd64 := x86_64
ARCHITECTURE_arm64 := aarch64
STD := $(shell rustup target list --installed 2> /dev/null)
target = $(ARCHITECTURE_$*)-unknown-linux-$(if $(filter $(ARCHITECTURE_$*)-unknown-linux-musl,$(STD)),musl,gnu)
native = $(filter $(ARCHITECTURE_$*),$(shell uname -m))
cargo = cargo $(if $(native),build,zigbuild)
STATIC = RUSTFLAGS="-C target-feature=+crt-static -C force-unwind-tables=no$(if $(native), -C linker=images/link-without-unwind-tables$(if $(LLD), $(FOLDED)))"
# The lld that comes with rustc makes one of functions that are equal, and puts alike ones together, where gzip finds them.
LLD = $(wildcard $(shell rustc --print sysroot)/lib/rustlib/$(shell rustc --print host-tuple)/bin/gcc-ld)
FOLDED = -C link-arg=-B$(LLD) -C link-arg=-fuse-ld=lld -C link-arg=-Wl,--icf=all,--bp-compression-sort=both

.PHONY: help demo test check notebook-tests bentoml-tests browser-tests screenshot lifecycle-tests cluster-tests images cluster-up cluster-down soak bench clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: images ## Five releases of one model on the real cluster: a first, a good one, and three that are taken back
	@cargo run -q -p demo

test: check notebook-tests bentoml-tests browser-tests lifecycle-tests cluster-tests ## Everything: check, then all that needs root, Python or the cluster

check: ## Format, lints, unit, property, step and catalog tests; needs no root and no cluster
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --workspace --locked

notebook-tests: ## The notebook executed, and its events read by the SDK that it uses; needs Python 3.11
	cd examples/iris && $$(./venv) -m unittest discover
	KANARIA_PYTHON=$$(examples/iris/venv) cargo test --locked --workspace --test python -- --ignored

bentoml-tests: ## Archives and Dockerfiles of real releases of BentoML, 0.9 to 1.4; the first time installs them, some 2 minutes
	cargo test --locked --workspace --test generations -- --ignored --nocapture
	cargo test --locked --workspace --test recipes -- --ignored --nocapture

# Chromium is Debian's, or the one that CHROMIUM names. Both packages are as the lock file has them.
BROWSER := tests/browser
.PHONY: browser
browser:
	@[ -x "$${CHROMIUM:-/usr/bin/chromium}" ] || apt-get install -qq -y --no-install-recommends chromium
	@[ $(BROWSER)/node_modules/.package-lock.json -nt $(BROWSER)/package-lock.json ] || npm ci --prefix $(BROWSER) --silent --no-audit --no-fund
	@cargo build -q --locked -p release-page --example sample-page

browser-tests: browser ## The release page in a real browser: widths, colours, keyboard, accessibility, live changes; needs Node 20
	@node $(BROWSER)/drive.mjs $(if $(URL),--url $(URL))

screenshot: browser ## Draws docs/release-page.png, as README shows it, from a made-up site
	@node $(BROWSER)/screenshot.mjs docs/release-page.png

lifecycle-tests: cluster-up ## The cluster itself: started twice, killed, taken down
	cargo test --locked --workspace --test lifecycle -- --ignored --test-threads=1

cluster-tests: images browser ## The tests on the real cluster and on its real parts
	cargo test --locked --workspace --test server -- --ignored
	cargo test --locked --workspace --test cluster -- --ignored --skip soak:: --skip figures:: --test-threads=$(CLUSTER_TEST_THREADS)

# To be small, what is released is optimised for ten minutes and more, which these tests need not wait for.
cluster-tests: PROFILE = quick
PROFILE = release

# Releases wait more than they compute, so a few can go on at once on two cores.
CLUSTER_TEST_THREADS ?= 6

images: $(if $(ELSEWHERE),,cluster-up) $(subst $(comma), ,$(PLATFORMS)) ## Build all images and push them to REGISTRY: the cluster's, or one of yours
	@for image in $(IMAGES); do \
	  name=$(REGISTRY)/$$image:$(VERSION); [ $$image != kaniko ] || name=$(REGISTRY)/kaniko:$(KANIKO); \
	  set -- --platform $(PLATFORMS) --file Dockerfile --target $$image \
	    --build-context rust=$(CONTEXT) --build-context go=$(CONTEXT); \
	  case $(BUILDER) in \
	    docker) docker buildx build --quiet "$$@" --tag $$name --push $(CONTEXT) > /dev/null ;; \
	    *) ! $(WITHOUT_DAEMON) manifest exists $$name || $(WITHOUT_DAEMON) manifest rm $$name > /dev/null; \
	      $(WITHOUT_DAEMON) build --quiet --format oci --layers=false --timestamp 0 "$$@" --manifest $$name $(CONTEXT) > /dev/null; \
	      $(WITHOUT_DAEMON) manifest push --quiet --all $(if $(ELSEWHERE),,--tls-verify=false) $$name docker://$$name ;; \
	  esac; \
	  echo "  pushed $$name$(if $(ELSEWHERE),,$(size))"; \
	done

# Of what was pushed, as the cluster's registry has it.
manifest = curl -sf -H 'Accept: application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json' http://$${name%%/*}/v2/kanaria/$$image/manifests
size = $$(digest=$$($(manifest)/$${name\#\#*:} | grep -o 'sha256:[0-9a-f]*' | head -1) && $(manifest)/$$digest \
  | sed 's/.*"layers"//' | grep -o '"size":[0-9]*' | awk -F: '{ all += $$2 } END { printf ", %.1f MB compressed", all / 1e6 }')

# What the Dockerfile's targets copy from, instead of compiling it.
CONTEXT := target/images/context
# buildah writes nothing outside this folder, and needs no root.
WITHOUT_DAEMON = $(BUILDER) $(if $(filter buildah,$(BUILDER)),--storage-driver vfs --root $(CURDIR)/target/images/store --runroot $(CURDIR)/target/images/run)

# What cargo builds of them. The cluster tests also want their model server.
CRATES = $(filter-out kaniko,$(IMAGES))

.PHONY: linux/amd64 linux/arm64
linux/amd64 linux/arm64: linux/%:
	@rm -rf $(CONTEXT)/out/$* && mkdir -p $(CONTEXT)/out/$*
	@cp /etc/ssl/certs/ca-certificates.crt $(CONTEXT)/out/
	@$(if $(CRATES),echo "compiling the steps and services for $(target)")
	@$(if $(CRATES),$(STATIC) $(cargo) --locked --profile $(PROFILE) --target $(target) $(patsubst %,-p %,$(CRATES) model))
	@$(if $(CRATES),cp $(patsubst %,target/$(target)/$(PROFILE)/%,$(CRATES) model) $(CONTEXT)/out/$*/)
	@$(if $(filter kaniko,$(IMAGES)),echo "compiling kaniko for $@")
	@$(if $(filter kaniko,$(IMAGES)),cd cluster/go/kaniko && CGO_ENABLED=0 GOARCH=$* go build -trimpath -ldflags '-s -w' -o $(CURDIR)/$(CONTEXT)/out/$*/ tool)

cluster-up: ## Bring the one-node cluster up (the first time builds its components, some 15 minutes)
	@cargo run -q --locked -p cluster -- up

cluster-down: ## Remove the cluster and all it left on the machine; the cache stays
	@cargo run -q --locked -p cluster -- down

# One test at a time and nothing beside it: the second one kills the API server and Prometheus.
soak: images ## One model released ten times, then twenty releases while steps, runs and the API server are killed; SOAK_SEED=N repeats these. An hour
	cargo test --locked --workspace --test cluster -- --ignored soak:: --test-threads=1 --nocapture

bench: images ## Benchmarks, as ratios within one run; DRAW=1 draws the README's chart from the cluster's
	cargo bench --workspace --locked
	RELEASE_PAGE=$(CURDIR)/$(CONTEXT)/out/amd64/release-page cargo test --locked --workspace --test scale -- --ignored --nocapture
	cargo test --locked --workspace --test cluster -- --ignored figures:: --test-threads=1 --nocapture

clean: ## Remove what was built here; the cluster's cache stays
	cargo clean
