# The one door for the developer. `make test` writes nothing to the tree and is what CI runs;
# `make fix` is the only target that writes to it.

SHELL := /bin/sh
# A failed test says what it saw; where in the harness it saw it tells nobody anything.
export RUST_LIB_BACKTRACE ?= 0
TARGET := $(or $(CARGO_TARGET_DIR),target)
SWARMER := $(TARGET)/release/swarmer
SKIPPED := $(TARGET)/skipped.txt
IMAGES := $(TARGET)/image
ROUNDS ?= 1000
# Providers, simulators and the linter, once built, are kept.
export SWARMER_TERRAFORM ?= $(abspath $(TARGET))/terraform

.NOTPARALLEL:
.PHONY: help demo test fix bench soak setup build check packer unit stories report deb box image iso test-image setup-image terraform test-terraform

help:
	@echo 'make demo   a real cluster on this machine: no root, no Docker'
	@echo 'make test   everything that CI runs'
	@echo 'make fix    format, and apply what clippy can mend'
	@echo 'make deb    the agent as a Debian package, for hosts that exist already'
	@echo 'make box    the Vagrant box for libvirt; make image: the disk image; make iso: the bootable ISO'
	@echo 'make test-image  builds image and ISO, boots them, and tells how it went'
	@echo 'make test-terraform  makes, reads back, replaces and destroys clusters on simulators of AWS and vSphere'
	@echo 'make bench  the figures, beside those of the peers that are installed'
	@echo 'make soak   ROUNDS=$(ROUNDS) rounds of kills and power cuts'

demo:
	@tests/setup.sh demo
	cargo build --release --locked -p swarmer-agent
	$(SWARMER) demo

test: setup check packer build terraform unit stories report

setup:
	@tests/setup.sh
	@mkdir -p $(TARGET) && rm -f $(SKIPPED)

check:
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then cargo deny check licenses bans sources; \
	else echo 'cargo deny: skipped, for want of cargo-deny (cargo install cargo-deny)' | tee -a $(SKIPPED); fi

# The stories run on what users run: the release binary.
build:
	cargo build --release --locked -p swarmer-agent

# Offline: the four sources' arguments, not what they would download.
packer:
	@if packer version >/dev/null 2>&1; then packer/build.sh validate >/dev/null && echo 'packer: all sources are valid'; \
	else echo 'packer validate: skipped, for want of packer' | tee -a $(SKIPPED); fi

# Without a cloud and without a build of providers: seconds. make test-terraform does all.
terraform:
	@if ! terraform version >/dev/null 2>&1; then echo 'terraform: skipped, for want of terraform 1.9 or later' | tee -a $(SKIPPED); \
	else SWARMER=$(abspath $(SWARMER)) SWARMER_SKIPPED=$(abspath $(SKIPPED)) python3 tests/terraform/run.py quick; fi

unit:
	cargo test --locked -p swarmer-agent

# Story files run one after another, and the stories of a file two at a time: each is a cluster of
# its own, on two cores.
stories:
	SWARMER_BIN=$(abspath $(SWARMER)) SWARMER_SKIPPED=$(abspath $(SKIPPED)) \
		cargo test --locked -p swarmer-tests --tests --no-fail-fast -- --test-threads 2

report:
	@echo
	@if [ -s $(SKIPPED) ]; then echo 'make test: formatting, lints, unit tests and stories passed, but for these, which were skipped:'; \
	sed 's/^/  /' $(SKIPPED); \
	else echo 'make test: formatting, lints, unit tests, loopback and namespace stories passed; nothing was skipped.'; fi

fix:
	cargo clippy --workspace --all-targets --fix --allow-dirty --allow-staged
	cargo fmt --all
	terraform fmt -recursive terraform
	python3 terraform/document.py

bench: build
	@tests/setup.sh bench
	SWARMER_BIN=$(abspath $(SWARMER)) cargo run --release --locked -p swarmer-tests --bin bench

soak: setup build
	SWARMER_BIN=$(abspath $(SWARMER)) SWARMER_NO_SKIP=1 SWARMER_ROUNDS=$(ROUNDS) \
		cargo test --locked -p swarmer-tests --test kv_faults -- --test-threads 1 --nocapture

deb: build
	@packer/deb/build.sh $(SWARMER) $(IMAGES)

box: setup-image build
	@SWARMER=$(SWARMER) OUTPUT=$(IMAGES) packer/build.sh box

image: setup-image build
	@SWARMER=$(SWARMER) OUTPUT=$(IMAGES) packer/build.sh image

iso: setup-image build
	@SWARMER=$(SWARMER) OUTPUT=$(IMAGES) packer/build.sh iso

# One machine at a time: each takes both cores. Emulated, so that it is the same everywhere.
test-image: setup setup-image build
	SWARMER=$(SWARMER) OUTPUT=$(IMAGES) ACCELERATOR=tcg packer/build.sh iso
	SWARMER=$(SWARMER) OUTPUT=$(IMAGES) ACCELERATOR=tcg packer/build.sh box
	SWARMER_BIN=$(abspath $(SWARMER)) SWARMER_SKIPPED=$(abspath $(SKIPPED)) \
		SWARMER_IMAGE=$(abspath $(IMAGES))/image.qcow2 SWARMER_ISO=$(abspath $(IMAGES))/image.iso \
		SWARMER_BOX=$(abspath $(IMAGES))/libvirt.box \
		cargo test --locked -p swarmer-tests --test image --test vagrant --no-fail-fast -- --ignored --test-threads 1 --nocapture
	@if [ -s $(SKIPPED) ]; then echo 'skipped:'; sed 's/^/  /' $(SKIPPED); fi

setup-image:
	@tests/setup.sh image

# The first time builds the providers, which takes minutes; the stories take ten on a busy machine.
test-terraform: build
	@tests/setup.sh terraform
	@tests/terraform/providers.sh vsphere aws lint
	@SWARMER=$(abspath $(SWARMER)) target/moto/bin/python tests/terraform/run.py all
