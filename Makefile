# SPDX-License-Identifier: BSD-3-Clause
# fastimport: `make demo` shows it at work, `make check` tests it.
#
#   make                 build/libfastimport.so and its companions
#   make V=1             show every command
#   make SANITIZE=address,undefined   the same in build-san/, with sanitizers
#   make SANITIZE=thread              the same in build-tsan/, by which `make test-races` looks for data races
#   make DEVELOPER=1     a warning is an error
#   make TARGET=x86_64-linux-gnu.2.28   for an older glibc or another machine, in build-x86_64-linux-gnu.2.28/ (.ci/target.mk)
#   make coverage        what part of preload/ the tests reach, in build-cov/; fails below 85% of its lines, and where a test
#                        fails. It takes as long as `make check`, and is part of neither that nor check-long
#   make lint            clang-format, clang-tidy, cppcheck
#   make install PREFIX=/opt/x DESTDIR=   a tree that may be moved; `make uninstall` takes it away
#   make dist            build/fastimport-VERSION.tar.gz, of what is committed
#   make deps            install what the build, the tests and the demo need (Debian 12)
#   make deps-long       what check-long needs, too: Open MPI, Slurm, clang's libFuzzer
#   make deps-target     what TARGET needs, too: a cross compiler, qemu
#
# Each folder has a rules.mk that names its programs, tests and lint sources.

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

V ?= 0
SANITIZE ?=
DEVELOPER ?=
TARGET ?=
TARGETS ?=
COVERAGE ?=
Q := $(if $(filter 1,$(V)),,@)
say = $(if $(filter 1,$(V)),,@printf '  %-8s%s\n' '$(1)' '$(2)')

COMMA := ,
B := $(if $(SANITIZE),$(if $(filter thread,$(SANITIZE)),build-tsan,build-san),$(if $(COVERAGE),build-cov,build))
CC := gcc
MPICC := mpicc.mpich
MPI_CFLAGS = $(shell $(MPICC) -compile_info 2>/dev/null | grep -o -- '-I[^ ]*' | sort -u)
CPPFLAGS += -D_GNU_SOURCE
CFLAGS ?= -O2 -g
WARN := $(if $(filter 1,$(DEVELOPER)),-Werror) -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
        -Wvla -Wformat=2
CSTD := -std=gnu11 -fno-strict-aliasing -fno-common
SAN := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer) \
       $(if $(COVERAGE),--coverage -fprofile-update=atomic -fprofile-abs-path)
ALL_CFLAGS = $(CSTD) $(CFLAGS) $(WARN) $(SAN) -MMD -MP
LDFLAGS += -Wl,-z,defs -Wl,-z,relro,-z,now $(SAN)
# Before glibc 2.34 they are libraries of their own.
LIBC_LIBS := -Wl,--as-needed -lpthread -ldl -lrt

PROGRAMS :=     # built by `make`
TESTS :=        # phony targets run by `make check`
TESTS_LONG :=   # those that take minutes: `make check-long`
LINT_DIRS := preload bcast-tool tests bench
# What is installed.
PRODUCTS = $(B)/libfastimport.so $(B)/libfastimport-elf.so $(B)/python-mpi-bcast

ifneq ($(TARGET),)
include .ci/target.mk
endif

include preload/packaging/rules.mk
include preload/rules.mk
include bcast-tool/rules.mk
include bench/rules.mk
include tests/rules.mk

.PHONY: all deps deps-long deps-target check check-long test demo bench lint coverage clean

all: $(if $(TARGET),$(PRODUCTS),$(PROGRAMS))

# Objects: build/obj/<path>.o; a folder may set target-specific COMPONENT_CFLAGS / COMPONENT_CPPFLAGS.
$(B)/obj/%.o: %.c | $(SYSROOT_READY)
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(COMPONENT_CPPFLAGS) $(ALL_CFLAGS) $(COMPONENT_CFLAGS) -c $< -o $@

deps:
	$(Q).ci/deps

deps-long:
	$(Q).ci/deps long

deps-target:
	$(Q).ci/deps target

# `check` is what a new user calls: it installs, builds and tests. `test` only tests.
check: deps $(if $(filter 1,$(TARGETS)),deps-target)
	$(Q)$(MAKE) --no-print-directory test

test: all
	$(Q)rm -f $(B)/test-results/*.tally
	$(Q)$(MAKE) --no-print-directory $(TESTS)
	$(Q)tests/summary $(B)

# The rest, which takes long: huge archives, many packages, the three fuzzers.
check-long: deps-long deps-target
	$(Q)$(MAKE) --no-print-directory all
	$(Q)rm -f $(B)/test-results/*.tally
	$(Q)$(MAKE) --no-print-directory $(TESTS_LONG)
	$(Q)tests/summary $(B)

demo: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)bench/demo

lint:
	$(Q).ci/lint $(LINT_DIRS)

# COVERAGE_TESTS="test-unit ..." runs these only.
COVERAGE_LEAST ?= 85
coverage:
	$(Q)rm -rf build-cov/test-results && if [ -d build-cov ]; then find build-cov -name '*.gcda' -delete; fi
	$(Q)failed=0; \
	FASTIMPORT_BUILD=$(abspath build-cov) $(MAKE) --no-print-directory COVERAGE=1 CFLAGS='-O1 -g -Wno-error=format-truncation' $(or $(COVERAGE_TESTS),test) || failed=1; \
	$(if $(COVERAGE_TESTS),tests/summary build-cov || failed=1;) \
	/usr/bin/python3 -B tests/coverage build-cov preload $(COVERAGE_LEAST) || failed=1; \
	exit $$failed

clean:
	rm -rf build build-san build-tsan build-cov build-strict $(wildcard build-*-linux-gnu*)

-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)
