# Everything is safe to repeat. `make` alone prints the targets.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)
WORKERS ?= 2
LAUNCHER_TESTS := tests/launch tests/escape tests/kernel/test_launch_probe.py tests/native
VENV := .venv
BIN := $(VENV)/bin
NATIVE := sandbox/harden/_native

BUILD_PACKAGES := gcc libc6-dev musl-tools linux-libc-dev libseccomp-dev libbpf-dev clang llvm python3-dev python3-venv
DEMO_PACKAGES := nginx-light apache2-utils curl iproute2 uidmap util-linux
BENCH_PACKAGES := bubblewrap crun runc firejail bpftrace linux-perf
TEST_PACKAGES := $(DEMO_PACKAGES) libclang-rt-dev strace redis-server redis-tools sqlite3 apparmor git openssl busybox-static \
	procps systemd crun runc bubblewrap podman secilc selinux-utils \
	memcached libmemcached-tools postgresql docker.io selinux-policy-default policycoreutils setools
VM_PACKAGES := qemu-system-x86 kmod busybox-static e2fsprogs

.PHONY: help venv build demo test test-vm vm-packages test-escape bench fuzz sanitize profiles lint clean distclean build-packages demo-packages test-packages bench-packages

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

# A package may bring a service: policy-rc.d keeps apt from starting it, and is taken away again.
define install
	@missing=$$(for p in $(1); do dpkg-query -W -f '$${db:Status-Abbrev}' $$p 2>/dev/null | grep -q '^ii' || echo $$p; done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	echo "harden: installing" $$missing; \
	command -v apt-get >/dev/null || { echo "harden: no apt-get here: install these packages by hand:" $$missing >&2; exit 1; }; \
	sudo=; if [ "$$(id -u)" != 0 ]; then \
		command -v sudo >/dev/null || { echo "harden: as root: apt-get install" $$missing >&2; exit 1; }; \
		sudo=sudo; \
	fi; \
	$$sudo sh -ec 'policy=/usr/sbin/policy-rc.d; \
		if [ ! -e $$policy ]; then \
			trap "rm -f $$policy" EXIT INT TERM; \
			printf "#!/bin/sh\nexit 101\n" >$$policy; chmod 755 $$policy; \
		fi; \
		export DEBIAN_FRONTEND=noninteractive; \
		apt-get install -qq -y --no-install-recommends "$$@" >/dev/null 2>&1 || { \
			apt-get update -qq; apt-get install -qq -y --no-install-recommends "$$@" >/dev/null; }' install $$missing
endef

build-packages:
	$(call install,$(BUILD_PACKAGES))
demo-packages:
	$(call install,$(DEMO_PACKAGES))
test-packages:
	$(call install,$(TEST_PACKAGES))
bench-packages:
	$(call install,$(BENCH_PACKAGES))
vm-packages:
	$(call install,$(VM_PACKAGES))

venv: build-packages $(VENV)/installed ## make .venv with harden (editable) and the development tools

$(VENV)/installed: pyproject.toml setup.py | build-packages
	@[ -n "$(PYTHON)" ] || { echo "harden: no Python 3.11 or newer found: apt-get install python3" >&2; exit 1; }
	@echo "harden: making $(VENV) with $$($(PYTHON) --version)"
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

build: venv ## compile what changed: the cffi extension, harden-exec, harden-prober, the BPF object
	@$(BIN)/python setup.py -q build_ext --inplace
	@cmp -s $(NATIVE)/harden-start $(BIN)/harden || install -m 755 $(NATIVE)/harden-start $(BIN)/harden

demo: demo-packages build ## trace a real nginx, rerun it under its profile, show what is refused
	@$(BIN)/python -m tests.demo

test: test-packages build ## every test, linter and type check that this machine can run
	@echo "harden: running the tests, results also in build/junit.xml"
	@mkdir -p build
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup --junit-xml=build/junit.xml

test-escape: test-packages build ## the attacks on the sandbox alone, the races and leftovers with a thousand launches
	@HARDEN_LAUNCHES=1000 $(BIN)/python -m pytest -q --timeout 900 tests/escape tests/launch/test_degraded.py

test-vm: test-packages vm-packages build ## what needs AppArmor, cgroup v2 or another kernel, in virtual machines (no KVM needed)
	@echo "harden: running the tests of the guests, results also in build/junit-vm.xml"
	@mkdir -p build
	@$(BIN)/python -m pytest -q -p tests.vm.plugin --junit-xml=build/junit-vm.xml

bench: test-packages bench-packages build ## what it costs, as ratios taken side by side; kept in build/bench.json
	@$(BIN)/python -m tests.bench

fuzz: test-packages build ## ten minutes of libFuzzer on the plan decoder
	@$(BIN)/python -m tests.launch.fuzz 600

sanitize: test-packages build ## the launcher's live tests on a harden-exec with AddressSanitizer and UBSan
	@$(BIN)/python setup.py -q build_ext --inplace --only=exec --sanitize
	@$(BIN)/python -m pytest -q -n $(WORKERS) $(LAUNCHER_TESTS); status=$$?; \
		rm -f $(NATIVE)/harden-exec; $(BIN)/python setup.py -q build_ext --inplace --only=exec; exit $$status

profiles: test-packages build ## make the profiles in profiles/shipped again, from their scenarios
	@$(BIN)/python -m tests.write_shipped_profiles

lint: build ## only linters, types, layers and C warnings
	@$(BIN)/python -m pytest -q tests/test_linters.py tests/test_layers.py

clean: ## remove what the build made
	@echo "harden: removing build products"
	@rm -rf build dist sandbox/*.egg-info $(NATIVE)/.build-* .mypy_cache .pytest_cache .ruff_cache .hypothesis
	@rm -f $(NATIVE)/*.so $(NATIVE)/harden-exec $(NATIVE)/harden-prober $(NATIVE)/harden.bpf.o
	@find sandbox tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## also remove .venv
	@rm -rf $(VENV)
