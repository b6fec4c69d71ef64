# The front door. `make demo` and `make test` need nothing prepared.
# CARGO_TARGET_DIR is honoured; KILN_HOME, too.
SHELL := /bin/bash
TARGET := $(or $(CARGO_TARGET_DIR),target)
KILN := $(TARGET)/release/kiln

.PHONY: demo test test-e2e test-kills test-lvm check gen bench setup build fuzz

setup:            ## install what is needed; fast when nothing is
	@tools/setup

build:            ## the program, optimised
	@cargo build --release --locked -p kiln

demo:             ## from a fresh machine to a login line (about 15 minutes on two cores without KVM, 11 of them compile)
	@tools/setup demo
	@$(MAKE) --no-print-directory build
	@$(KILN) build examples/debian-12.yaml --timings
	@if $(KILN) -q info demo >/dev/null 2>&1; then \
	  $(KILN) start demo && $(KILN) wait demo --timings && echo "log in with: $(KILN) ssh demo"; \
	else $(KILN) launch debian-12 demo --timings --start-network; fi

test: setup       ## all tests this machine can run
	@tools/test

test-e2e: setup   ## only those that start real machines
	@tools/test e2e

test-kills: setup ## Kiln killed at 100 moments of each verb, or KILN_KILLS (about 25 minutes)
	@tools/test kills

test-lvm: setup   ## machines on LVM, on a host that is made for it (about 8 minutes without KVM)
	@tools/test lvm

check:            ## what a reviewer would say first: format, lints, documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked --document-private-items

gen: build        ## write anew what is generated: manual pages, completions
	@tools/gen $(KILN)

bench: setup build  ## Kiln beside its peers, in one run; prints ratios (about 35 minutes; docs/bench.md)
	@tools/bench $(KILN)
	@tools/bench-many $(KILN)
	@tools/bench-image $(KILN)
	@tools/bench-bundle $(KILN)
	@tools/bench-build $(KILN)

fuzz: setup       ## random changes of valid files for each parser; FUZZ_SECONDS=600 is ten minutes for each, 60 if not said
	@KILN_FUZZ_SECONDS=$(or $(FUZZ_SECONDS),60) cargo test --release --locked -p kiln-disk -p kiln-guest -p kiln-build --test hostile --no-fail-fast -- --exact fuzz --nocapture
