# SPDX-License-Identifier: BSD-3-Clause
# make TARGET=MACHINE-linux-gnu.GLIBC builds what is installed for that machine and that glibc, or newer ones:
#
#   make TARGET=x86_64-linux-gnu.2.28 ELF_LIBDIR=/usr/lib64        # for RHEL 8
#   make TARGET=aarch64-linux-gnu.2.28 ELF_LIBDIR=/usr/lib64
#
# The compiler is the one that PyPI's package ziglang brings. Headers and libraries other than libc's come from SYSROOT: this
# machine's own, or for another machine Debian's packages, which .ci/sysroot unpacks. ELF_LIBDIR is where libelf.so.1 is on
# the target (none: where ld.so finds it). `make deps-target` installs the tools.

TARGET_MACHINE := $(firstword $(subst -, ,$(TARGET)))
TARGET_TRIPLET := $(TARGET_MACHINE)-linux-gnu
# Beside the environments of bench/env (recipe.sh).
TARGET_VENV := $(or $(FASTIMPORT_TEST_ENV),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/fastimport-test)/ziglang
FOREIGN := $(filter-out $(shell uname -m),$(TARGET_MACHINE))
SYSROOT ?= $(if $(FOREIGN),$(B)/root)
ZIG ?= $(if $(wildcard $(TARGET_VENV)/bin/python),$(TARGET_VENV)/bin/python,python3) -m ziglang

B := build-$(TARGET)
CC = $(ZIG) cc -target $(TARGET)
CPPFLAGS += -idirafter $(SYSROOT)/usr/include -idirafter $(SYSROOT)/usr/include/$(TARGET_TRIPLET)
# The libraries of SYSROOT may need a newer glibc than ours do.
LDFLAGS += -L$(SYSROOT)/usr/lib/$(TARGET_TRIPLET) -Wl,--allow-shlib-undefined
ELF_LIBDIR ?=
MPICC = $(CC)
MPI_CFLAGS := -I$(SYSROOT)/usr/include/$(TARGET_TRIPLET)/mpich
MPI_LIBS := -lmpich

ifneq ($(FOREIGN),)
SYSROOT_READY := $(B)/root/complete

$(B)/root/complete: .ci/sysroot
	$(call say,DEBS,$(@D))
	$(Q).ci/sysroot $(TARGET_MACHINE) $(@D) && touch $@
endif
