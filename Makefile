# Mailguard's only entry point. `make` alone lists the targets. Everything that is built or
# fetched lies in target/; only `install` and missing tools of `setup` and of packages change the
# machine.

PREFIX ?= /usr/local
CARGO ?= cargo
SECONDS ?= 600
TARGETS ?= $(basename $(notdir $(wildcard tests/fuzz/fuzz_targets/*.rs)))
# What `mailguard --version` says: the commit too, where it is known.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
COMMIT := $(shell git describe --always --dirty --abbrev=12 --exclude='*' 2>/dev/null)
ifneq ($(COMMIT),)
export MAILGUARD_VERSION := $(VERSION) ($(COMMIT))
endif
MODULES ?= wire flow tcp smtp guard engine

help: ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' Makefile | expand -t 26

setup: ## install missing tools, fetch the mail programs into target/lab (nothing of them is installed)
	@tests/lab/setup.sh

build: ## the release program, target/release/mailguard
	@$(CARGO) build --release --locked

demo: setup build ## see it work: a real Postfix behind the filter, on a sealed network
	@$(CARGO) run --release --locked --quiet --example demo

demo-duplicates: setup build ## what the split terminator did to people: one message, many copies
	@$(CARGO) run --release --locked --quiet --example demo-duplicates

test: setup ## everything: format, lints, all tests (live ones on this kernel), documentation
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps

test-busy: setup ## `test` five times while other processes keep all processors busy: how often is it good?
	@tests/lab/busy.sh

pictures: setup ## see `top` and a report as people do, and make the README's pictures (fetches Chromium)
	@tests/lab/setup.sh chromium
	@PICTURES=$(CURDIR)/tests/program/pictures $(CARGO) test --locked --test program -- top:: browser::

matrix: setup ## every mail program with every other, all kinds of messages, printed
	@MATRIX=full $(CARGO) test --locked --test matrix

attack: setup ## every known attack, live, on four mail servers, bare and guarded: a table of what worked
	@ATTACK=full $(CARGO) test --locked --release --test attack

bench: setup build ## what the filter costs beside others, in one table (ROUNDS=n, ONLY=SCENARIO to choose)
	@tests/lab/setup.sh suricata || echo "setup: Suricata cannot be had, its rows will say so"
	@$(CARGO) bench --locked --bench table

instructions: setup ## a table of what a packet of each kind costs, ordinary or hostile; what is too dear is marked
	@$(CARGO) bench --locked --bench instructions

soak: ## a million random schedules and dialogues, a thousand simulations (SEEDS=n for another number)
	SEEDS=$${SEEDS:-250000} $(CARGO) test --locked --release --test core random:: -- --nocapture
	SEEDS=$${SEEDS:-1000000} $(CARGO) test --locked --release --test servers -- --nocapture
	SEEDS=1000 $(CARGO) test --locked --release --test core sim:: -- --nocapture

fuzz: ## every fuzz target for SECONDS (600) each; what fails is left where `test` finds it
	@test -x target/tools/bin/cargo-fuzz || $(CARGO) install --locked --root target/tools cargo-fuzz
	@for t in $(TARGETS); do tests/fuzz/run.sh $$t $(SECONDS) || exit 1; done

mutants: ## change MODULES (wire flow tcp smtp guard engine) in every small way: does a test notice?
	@test -x target/tools/bin/cargo-mutants || $(CARGO) install --locked --root target/tools cargo-mutants
	@PATH="$(CURDIR)/target/tools/bin:$$PATH" nice $(CARGO) run --release --locked --quiet \
		--manifest-path tests/mutants/Cargo.toml --target-dir target/mutants/tool -- $(MODULES)

flood: setup ## a million SYNs and a hundred thousand half dialogues while mail passes; memory of idle flows
	@FLOOD=full $(CARGO) test --locked --test kernel -- l_flood l_idle_flows

life: setup ## restart and replace the filter each second amid 1,000 deliveries; kill it in each phase
	@LIFE=full $(CARGO) test --locked --test live -- each_second in_each_phase

loss: setup build ## goodput over a path that loses packets, beside plain forwarding
	@$(CARGO) bench --locked --bench loss

bless: setup ## take the present results as the expected ones, after looking at the difference
	BLESS=1 $(CARGO) test --locked

install: build ## put program, units, pages and all else below PREFIX (/usr/local), DESTDIR before it
	@dist/install.sh install target/release/mailguard "$(PREFIX)" "$(DESTDIR)"

uninstall: ## take the rules out, and remove what install put there
	@dist/install.sh uninstall "$(PREFIX)" "$(DESTDIR)"

deb: ## the Debian package, in target/package; lintian has to like it
	@tests/lab/setup.sh --tools dpkg-shlibdeps:dpkg-dev lintian:lintian
	@dist/package.sh deb

deb-life: deb ## install, upgrade, remove and purge it under a real systemd, while mail passes
	@tests/lab/setup.sh --tools debootstrap:debootstrap ip:iproute2 pgrep:procps python3:python3
	@dist/package.sh deb later
	@tests/lab/package.sh target/package/mailguard_*.deb target/package/later/*.deb

rpm: ## the same as an rpm
	@tests/lab/setup.sh --tools rpmbuild:rpm
	@dist/package.sh rpm

rpm-life: rpm ## the same for it, but that it filters only once it is enabled
	@tests/lab/setup.sh --tools debootstrap:debootstrap ip:iproute2 pgrep:procps python3:python3
	@dist/package.sh rpm later
	@tests/lab/package.sh target/package/mailguard-*.rpm target/package/later/*.rpm

reproducible: ## both packages built in two places: the same, byte for byte?
	@tests/lab/setup.sh --tools dpkg-shlibdeps:dpkg-dev lintian:lintian rpmbuild:rpm
	@dist/package.sh twice

clean: ## remove everything built and fetched
	$(CARGO) clean

# Every target that `help` lists is a command, not a file.
.PHONY: $(shell sed -nE 's/^([a-z-]+):.*## .*/\1/p' Makefile)
