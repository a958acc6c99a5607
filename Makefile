# What a newcomer and CI call. `make` alone lists the targets.
#
# JOBS=8 builds with eight jobs instead of two. Every build goes to target/ (CARGO_TARGET_DIR overrides it).

SHELL := /bin/bash
TARGET := $(or $(CARGO_TARGET_DIR),target)
export JOBS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup build demo test tck interop charts static soak bench lint deny doc fuzz fmt clean

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what build, tests and manual need (apt-get as root or with sudo; cargo tools into target/tools)
	@scripts/setup.sh build test doc

# Each part is set up once, and again when the script changes.
$(TARGET)/setup/%.done: scripts/setup.sh scripts/lib.sh
	@scripts/setup.sh $*

build: $(TARGET)/setup/build.done ## Build the two binaries that ship: target/release/hansa and hansa-dataplane
	@. scripts/lib.sh && use_pinned_rust && cargo build --release --locked --bin hansa --bin hansa-dataplane

demo: $(TARGET)/setup/build.done ## Two cities agree on a contract, and data flows; KEEP=1 leaves them running
	@scripts/demo.sh $(if $(KEEP),--keep)

test: $(TARGET)/setup/build.done $(TARGET)/setup/test.done $(TARGET)/setup/doc.done ## Run every check; prints the seconds of each stage
	@scripts/test.sh

tck: $(TARGET)/setup/build.done $(TARGET)/setup/test.done ## The official kits; KIT=dcp one of them, ONLY='CN:01' some of its tests
	@scripts/tck.sh $(KIT) $(if $(ONLY),--only '$(ONLY)') $(if $(RUNS),--runs $(RUNS)) $(if $(VERBOSE),--verbose)

interop: $(TARGET)/setup/build.done $(TARGET)/setup/test.done ## Only the tests with parts that others wrote: kit's schemas, foreign data plane
	@scripts/test.sh build interop

charts: $(TARGET)/setup/build.done $(TARGET)/setup/test.done ## Only the Helm charts and the container image
	@scripts/test.sh build charts

static: $(TARGET)/setup/build.done ## Both programs without shared libraries: target/static
	@scripts/static.sh

soak: $(TARGET)/setup/build.done $(TARGET)/setup/test.done ## The fault test in its long form: kill -9 at random moments
	@scripts/test.sh build soak

bench: $(TARGET)/setup/build.done $(TARGET)/setup/bench.done ## Measure against the budgets, beside nginx; wants a quiet machine
	@scripts/bench.sh

lint: $(TARGET)/setup/build.done ## rustfmt and clippy, warnings as errors
	@scripts/lint.sh

deny: $(TARGET)/setup/test.done ## Licences, banned crates, sources and advisories (deny.toml)
	@scripts/deny.sh

doc: $(TARGET)/setup/build.done $(TARGET)/setup/doc.done ## Build the manual (docs/book) and the reference of the crates
	@scripts/doc.sh

fuzz: $(TARGET)/setup/fuzz.done ## Fuzz every JSON entry point (nightly toolchain); FUZZ_SECONDS=60 each
	@scripts/fuzz.sh

fmt: ## Format all sources
	@. scripts/lib.sh && use_pinned_rust && cargo fmt --all

clean: ## Remove everything that a build or a demo made
	rm -rf $(TARGET) docs/book .run
