# `make demo` and `make test` are all the set-up there is; `make help` lists the rest.
#
# Everything is built in release, into target/ (cargo) and build/ (the rest). What comes from registries is fetched when it
# is first needed. A rule's outputs are real files or stamps in build/made, so nothing is made twice.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# CI adds --locked.
CARGO_FLAGS ?=
MAVEN := mvn -B -ntp $(MAVEN_FLAGS)

missing := $(shell tools/toolchains $(or $(MAKECMDGOALS),help))
ifneq ($(missing),)
$(error $(missing))
endif

version := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' Cargo.toml | head -n 1)
python := build/venv/bin/python
say = @printf '\033[1m==> %s\033[0m\n' "$(1)"
# The files that git would track under these folders.
files = $(shell find $(1) -type f -not -path '*/node_modules/*' -not -path '*/__pycache__/*' 2>/dev/null)

.PHONY: help demo build test test-models test-rust test-c test-python test-node test-java test-streams test-network test-tracing test-browser test-examples test-install test-docs lint bench docs images generate clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | while IFS=$$'\t' read -r target text; do printf '  make %-14s %s\n' "$$target" "$$text"; done

# ---------------------------------------------------------------- what users get

demo: target/release/ambassador target/release/payments build/made/wheel build/made/node build/java/ambassador-proxy.jar build/examples/payments-c build/examples/payments-cpp ## six languages charge a misbehaving payment API, of whose two endpoints one is killed
	$(call say,demo: six payment services$(comma) one misbehaving payment API$(comma) two endpoints of which one is killed)
	@target/release/ambassador demo --endpoints 2 --kill-after 100 --clients examples/clients.toml

build: target/release/ambassador build/made/wheel build/made/npm build/java/ambassador-proxy.jar build/made/prefix $(foreach example,payments-c payments-cpp seed-c seed-cpp,build/examples/$(example)) ## everything: the wheel, the npm package, the jar, the C library, the program, the examples

comma := ,

# One cargo invocation for all but the wheel, so that every dependency is compiled once, with one set of features.
crates := ambassador-sidecar ambassador-examples ambassador-c ambassador-node ambassador-java
cargo_makes := $(addprefix target/release/,ambassador payments seed streams libambassador.so libambassador.a libambassador_node.so libambassador_java.so)

.PHONY: cargo
cargo:
	$(call say,Rust: the core$(comma) the bindings$(comma) the ambassador program)
	@cargo build --release $(CARGO_FLAGS) $(addprefix -p ,$(crates))

# Cargo knows what is out of date; what it leaves alone keeps its time, and nothing below is made again.
$(cargo_makes): cargo
	@:

build/made/venv: tools/python/build.txt
	$(call say,Python: build/venv with maturin)
	@python3 -m venv build/venv
	@$(python) -m pip install --quiet --disable-pip-version-check -r $<
	@mkdir -p $(@D) && touch $@

build/made/venv-%: tools/python/%.txt build/made/venv
	$(call say,Python: build/venv with the tools to $*)
	@$(python) -m pip install --quiet --disable-pip-version-check -r $<
	@touch $@

build/made/wheel: $(call files,core/src bindings-python/src bindings-python/python) bindings-python/pyproject.toml $(wildcard Cargo.* core/Cargo.toml bindings-python/Cargo.toml) | build/made/venv
	$(call say,Python: the wheel)
	@rm -f build/wheels/*.whl
	@cd bindings-python && ../build/venv/bin/maturin build --release $(CARGO_FLAGS) --interpreter ../build/venv/bin/python --out ../build/wheels
	@$(python) -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps build/wheels/*.whl
	@touch $@

build/made/prefix: target/release/libambassador.so target/release/libambassador.a $(call files,include bindings-c/package) bindings-c/install.sh
	$(call say,C: build/prefix)
	@bindings-c/install.sh build/prefix
	@mkdir -p $(@D) && touch $@

# Examples are built as strictly as the headers are checked.
c_flags := -O2 -g -Wall -Wextra -Wpedantic -Werror -Ibuild/prefix/include
c_links := -Lbuild/prefix/lib -Wl,-rpath,'$$ORIGIN/../prefix/lib' -lambassador -lpthread

build/examples/%-c: examples/c/%.c build/made/prefix
	@mkdir -p $(@D)
	cc -std=c11 $(c_flags) $< -o $@ $(c_links)

build/examples/%-cpp: examples/cpp/%.cpp build/made/prefix
	@mkdir -p $(@D)
	c++ -std=c++17 $(c_flags) $< -o $@ $(c_links)

build/made/node: target/release/libambassador_node.so $(call files,bindings-node/lib bindings-node/tools) $(wildcard bindings-node/*.json bindings-node/index.* bindings-node/README.md)
	$(call say,Node: the package)
	@npm run --silent --prefix bindings-node build
	@mkdir -p $(@D) && touch $@

build/made/npm: build/made/node
	$(call say,Node: the tarball)
	@mkdir -p build/npm && rm -f build/npm/*.tgz
	@cd bindings-node && npm pack --silent --pack-destination ../build/npm
	@touch $@

build/made/node-lint: bindings-node/package-lock.json
	$(call say,Node: TypeScript)
	@npm ci --silent --no-audit --no-fund --prefix bindings-node
	@mkdir -p $(@D) && touch $@

build/made/node-peers: benches/node/package-lock.json | build/made/node
	$(call say,Node: the peers)
	@npm ci --silent --no-audit --no-fund --prefix benches/node
	@touch $@

build/java/ambassador-proxy.jar: target/release/libambassador_java.so bindings-java/pom.xml $(call files,bindings-java/src/main)
	$(call say,Java: the jar (Maven fetches its plugins the first time))
	@$(MAVEN) -q -f bindings-java/pom.xml -DskipTests package
	@mkdir -p $(@D) && cp bindings-java/target/ambassador-proxy-$(version).jar $@

# ---------------------------------------------------------------- tests

suites := rust c python node java streams network tracing browser examples install docs

test: ## every test there is, and one table of them
	+@python3 tools/test.py "$(MAKE)" $(suites)

test-rust: target/release/ambassador ## the core, the ambassador program, the Rust pages
	@mkdir -p build/reports
	@cargo test --release $(CARGO_FLAGS) --workspace --exclude ambassador-python --exclude ambassador-benches --features ambassador-core/tower --no-fail-fast | tee build/reports/rust.log

# Not part of `make test`: some models take minutes, and what they model changes seldom.
test-models: ## the cells of the breaker, the budget and the bulkhead under every interleaving, by loom
	@cargo test --release $(CARGO_FLAGS) -p ambassador-core --features loom --test models

test-python: build/made/wheel build/made/venv-test ## the wheel, with pytest
	@mkdir -p build/reports
	@$(python) -m pytest bindings-python/tests --junitxml=build/reports/python.xml

test-node: build/made/node build/made/node-lint ## the npm package, with node:test
	@mkdir -p build/reports
	@cd bindings-node && node --test --test-reporter=spec --test-reporter-destination=stdout --test-reporter=tap --test-reporter-destination=../build/reports/node.tap __test__/*.test.mjs

test-java: build/java/ambassador-proxy.jar ## the jar, with JUnit
	@$(MAVEN) -f bindings-java/pom.xml test

test-c: build/made/prefix $(foreach example,payments-c payments-cpp seed-c seed-cpp,build/examples/$(example)) | build/made/ci ## the C library, in C and C++, and under valgrind
	@cmake -S bindings-c/tests -B build/c-tests -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_PREFIX_PATH=$(CURDIR)/build/prefix >build/c-tests.log || { cat build/c-tests.log; exit 1; }
	@cmake --build build/c-tests
	@mkdir -p build/reports
	@ctest --test-dir build/c-tests --output-on-failure --output-junit $(CURDIR)/build/reports/c.xml

test-streams: build build/made/venv-test ## one script of calls, played in every language: the events and waits are the same
	@mkdir -p build/reports
	@$(python) -m pytest tests/streams --junitxml=build/reports/streams.xml

test-network: build/made/prefix build/made/venv-test ## endpoints as processes, in every kind of trouble while an app calls them
	@mkdir -p build/reports
	@$(python) -m pytest tests/network --junitxml=build/reports/network.xml

test-tracing: build/made/wheel build/made/node build/made/node-lint build/made/java-peers build/made/venv-test ## spans below the host's own, of OpenTelemetry's SDK, as a collector gets them
	@mkdir -p build/reports
	@$(python) -m pytest tests/tracing --junitxml=build/reports/tracing.xml

# What the Java package's tests need, as programs find it: jars in a folder.
build/made/java-peers: bindings-java/pom.xml build/java/ambassador-proxy.jar
	$(call say,Java: the peers)
	@$(MAVEN) -q -f bindings-java/pom.xml dependency:copy-dependencies -DincludeScope=test -DoutputDirectory=$(CURDIR)/build/java/peers
	@touch $@

test-browser: build/made/browser ## the live page of the admin server, in chromium
	@mkdir -p build/reports
	@node --test --test-reporter=spec --test-reporter-destination=stdout --test-reporter=tap --test-reporter-destination=build/reports/browser.tap tests/browser/*.test.mjs

images: build/made/browser ## the pictures of the live page in docs/images
	@command -v fc-list >/dev/null && fc-list | grep -q Inter || tools/system-packages inter=fonts-inter
	@AMBASSADOR_IMAGES=docs/images node --test tests/browser/images.test.mjs

# The browser that the distribution has; npm's would be fetched from elsewhere.
build/made/browser: tests/browser/package-lock.json tools/system-packages
	@tools/system-packages chromium
	@npm ci --silent --no-audit --no-fund --prefix tests/browser
	@mkdir -p $(@D) && touch $@

test-examples: build build/made/venv-test ## the seed's programs and the payment services, in all six languages
	@mkdir -p build/reports
	@$(python) -m pytest tests/examples --junitxml=build/reports/examples.xml

test-install: build build/made/venv-test | build/made/ci ## what users install, in empty places outside the repository
	@mkdir -p build/reports
	@$(python) -m pytest tests/install --junitxml=build/reports/install.xml

test-docs: build build/made/venv-test build/made/node-lint | build/made/ci ## every block of code in README and docs
	@mkdir -p build/reports
	@$(python) -m pytest tests/docs --junitxml=build/reports/docs.xml

# valgrind and pkg-config, which no registry has: installed where that may be done, asked for where not.
build/made/ci: tools/system-packages
	@tools/system-packages valgrind pkg-config
	@mkdir -p $(@D) && touch $@

# What the clients that are measured ask.
build/made/nginx: tools/system-packages
	@tools/system-packages nginx
	@mkdir -p $(@D) && touch $@

# ---------------------------------------------------------------- what developers need

strict := -Wall -Wextra -Wpedantic -Werror -Iinclude -fsyntax-only
python_code := $(wildcard bindings-python examples/python benches tests tools)

lint: build/made/wheel build/made/node build/java/ambassador-proxy.jar build/made/venv-test build/made/venv-lint build/made/node-lint build/made/browser ## formatting, compilers' warnings as errors, types, and the house's own rules
	$(call say,lint: Rust)
	@cargo fmt --all --check
	@cargo clippy --release $(CARGO_FLAGS) --workspace --exclude ambassador-node --all-targets --features ambassador-core/tower -- -D warnings
	@cargo clippy --release $(CARGO_FLAGS) -p ambassador-node -- -D warnings
	$(call say,lint: C and C++)
	@echo '#include "ambassador.h"' | cc -std=c11 $(strict) -x c -
	@echo '#include "ambassador.h"' | c++ -std=c++17 $(strict) -x c++ -
	@echo '#include "ambassador.hpp"' | c++ -std=c++17 $(strict) -x c++ -
	@for header in include/ambassador_*.hpp; do echo "#include \"$$(basename $$header)\"" | c++ -std=c++17 $(strict) -x c++ -; done
	$(call say,lint: Python)
	@$(python) -m ruff format --check $(python_code)
	@$(python) -m ruff check $(python_code)
	@$(python) -m mypy --strict bindings-python/python bindings-python/tests/types_check.py $(filter-out examples/python/seed.py,$(wildcard examples/python/*.py))
	@$(python) -m mypy --check-untyped-defs examples/python/seed.py
	$(call say,lint: TypeScript)
	@npm run --silent --prefix bindings-node lint
	@bindings-node/node_modules/.bin/tsc -p tests/browser
	$(call say,lint: Java)
	@$(MAVEN) -q -f bindings-java/pom.xml test-compile
	@for example in examples/java/*.java tests/streams/*.java; do javac --release 17 -Xlint:all -Werror -cp build/java/ambassador-proxy.jar -d build/java/examples "$$example"; done
	$(call say,lint: the house)
	@python3 tools/house.py

bench: build build/made/venv-bench build/made/node-peers build/made/nginx ## a call that succeeds at once, beside each language's peers; writes benches/README.md
	@python3 tools/bench.py

docs: ## the Rust documentation, and the C one where doxygen is
	@RUSTDOCFLAGS="-D warnings" cargo doc --release $(CARGO_FLAGS) --no-deps -p ambassador-core
	@if command -v doxygen >/dev/null; then mkdir -p build/docs && doxygen bindings-c/Doxyfile; else echo "doxygen is not here: the C documentation is left out"; fi

generate: ## the files made from core/errors.toml, from the C crate, and from the conformance vectors
	@AMBASSADOR_GENERATE=1 cargo test --release $(CARGO_FLAGS) -p ambassador-core --test generated
	@AMBASSADOR_GENERATE=1 cargo test --release $(CARGO_FLAGS) -p ambassador-c --test header
	@AMBASSADOR_GENERATE=1 cargo test --release $(CARGO_FLAGS) -p ambassador-core --test conformance
	@AMBASSADOR_GENERATE=1 cargo test --release $(CARGO_FLAGS) -p ambassador-core --test config

clean: ## remove all that was built here
	rm -rf build target bindings-java/target bindings-node/*.node bindings-node/LICENSE bindings-node/node_modules examples/node/node_modules benches/node/node_modules
