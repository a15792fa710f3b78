# SPDX-License-Identifier: GPL-2.0
# Everything is built and run inside a made Debian 13 root (tools/root). On the host only
# root rights, the registries and Debian 12 or 13 are needed.
#   NM_CACHE=DIR       where everything made is kept (default /var/cache/netmap-build)
#   NM_KERNEL=RELEASE  build for and boot this kernel alone instead of those in tools/root/kernel.lock
#   CHECKED='kasan'    test on these kernels with run-time checks too (kasan, kcsan; CHECKED= for none)
#   KDIR=TREE          modules, install: against these headers, with no made root (Documentation/kernels.md)
#   ARGS='…'           passed on to the lab: make test ARGS='--filter abi'

SHELL := /bin/bash
NM_CACHE ?= /var/cache/netmap-build
export NM_CACHE
export KDIR KSRC MODULES RUSTC BUILD INSTALL_MOD_PATH DESTDIR SIGN_KEY SIGN_CERT
ENTER := tools/root/enter
LAB := tools/lab/lab
ARGS ?=
# Kernels with run-time checks that repeat guest tests: kasan, kcsan, or nothing. `make test`
# repeats one slice in SLICES, another one for each commit.
CHECKED ?= kasan
SLICES ?= 16

.NOTPARALLEL:
.PHONY: help all root kernel guest modules tools build checked others kernels deb installed install uninstall run test test-deep test-packages bench shell fmt check clean distclean

help:
	@echo 'Targets (all make what they need first):'
	@echo '  run        a host under flood, with and without a queue given away: the session'
	@echo '  test       host tests and guest tests; the last line is "N passed, N failed"'
	@echo '  test-deep  the same with long tests and large counts, all of it on kernels with KASAN, lockdep, KCSAN too'
	@echo '  test-packages  the Debian packages, installed, upgraded, removed, and booted with each kernel'
	@echo '  bench      guest instructions per packet, against the alternatives'
	@echo '  shell      a root shell in the guest, modules in /opt/netmap/modules'
	@echo '  root       the made root and the kernel tree'
	@echo '  kernels    the kernels of the archive and which are supported; TRY=RELEASE or TRY=all builds for more'
	@echo '  guest      the guest image'
	@echo '  modules    netmap.ko and ixgbe.ko, in $$NM_CACHE/payload/modules/RELEASE'
	@echo '  install    both modules into this system, built against the headers in KDIR=; uninstall removes them'
	@echo '  tools      the programs, in $$NM_CACHE/payload/bin'
	@echo '  deb        the Debian packages, in $$$$NM_CACHE/deb'
	@echo '  installed  the system on which the packages are tried'
	@echo '  check      formatting, clippy, checkpatch and the like (tools/lint)'
	@echo '  fmt        format the Rust sources'
	@echo '  clean      remove what was built; distclean also removes root, kernel and guest'
	@echo 'Variables: NM_CACHE=$(NM_CACHE)  NM_KERNEL=release  ARGS=…'

all: build

root:
	@tools/root/make
	@tools/root/kernel

kernels: root
	@tools/root/kernels $(if $(TRY),--try $(TRY))

guest: root
	@tools/guest/make

# With KDIR= everything is the host's own: its headers, its compilers, no made root.
ifdef KDIR
modules:
	@tools/install/modules build
else
modules: root
	@$(ENTER) tools/root/build-modules
endif

install:
	@tools/install/modules install

uninstall:
	@tools/install/modules uninstall

tools: root
	@$(ENTER) tools/root/build-tools

build: root guest modules tools

deb:
	@tools/root/make
	@$(ENTER) packaging/make-deb

installed: others
	@$(ENTER) tools/installed/make $$(cat "$(NM_CACHE)/kernel/current") $$(tools/root/others)

run: build
	@$(LAB) run $(ARGS)

# As arguments of the lab: the kernels of CHECKED with modules and guest image.
checked = $(foreach v,$(CHECKED),--checked $$(tools/root/checked $(v)))
slice = $$(( 0x$$(git -c safe.directory='*' rev-parse --short=7 HEAD 2>/dev/null || echo 0) % $(SLICES) ))/$(SLICES)

# As arguments of the lab: the other kernels of tools/root/kernel.lock.
also = $$(tools/root/others | sed 's/^/--also /')

others: build
	@tools/root/others >/dev/null

checked: build
	@set -e; for v in $(CHECKED); do tools/root/checked $$v >/dev/null; done

test: checked others installed
	@$(LAB) test $(also) $(checked) --slice $(slice) $(ARGS)

test-deep: CHECKED = kasan kcsan
test-deep: build
	@$(MAKE) --no-print-directory others installed checked CHECKED='$(CHECKED)'
	@$(LAB) test --deep $(also) $(checked) $(ARGS)

test-packages: build installed
	@$(LAB) test --packages-only $(ARGS)

bench: build
	@$(LAB) bench $(ARGS)

shell: build
	@$(LAB) shell $(ARGS)

RUST_FILES = $$(find rust -name '*.rs' | sort)

fmt: root
	@$(ENTER) bash -c 'cd tools && cargo fmt --all'
	@$(ENTER) bash -c 'rustfmt --edition 2021 $(RUST_FILES)'

check: root modules
	@$(ENTER) tools/lint

clean:
	rm -rf "$(NM_CACHE)"/{target,build,deb,payload,tmp,log}

distclean: clean
	@! grep -q " $(NM_CACHE)/" /proc/self/mounts || \
		{ echo 'error: something is mounted below $(NM_CACHE); unmount it first' >&2; exit 1; }
	rm -rf "$(NM_CACHE)"/{guest,installed,kernel,root,cargo,libpcap,lock}
