# SPDX-License-Identifier: BSD-3-Clause
# bench: its programs, and the targets that measure.
FUSE_CFLAGS := $(shell pkg-config --cflags fuse3 2>/dev/null)
FUSE_LIBS := $(shell pkg-config --libs fuse3 2>/dev/null || echo -lfuse3)
SHAREDFS_OBJ := $(patsubst %,$(B)/obj/bench/emulator/sharedfs/%.o,main serve fs read write state pace)

PROGRAMS += $(B)/sharedfs

$(SHAREDFS_OBJ): COMPONENT_CPPFLAGS = $(FUSE_CFLAGS)

$(B)/sharedfs: $(SHAREDFS_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $^ $(LDFLAGS) $(FUSE_LIBS) -pthread -o $@

PROGRAMS += $(B)/emulated-node

# Static: it takes the place of ssh, which does not depend on the launcher's LD_LIBRARY_PATH either.
$(B)/emulated-node: $(B)/obj/bench/emulator/nodes/node.o
	$(call say,LD,$@)
	$(Q)$(CC) $^ $(LDFLAGS) $(if $(SANITIZE)$(COVERAGE),,-static) -o $@

PROGRAMS += $(B)/execonly.so

# Without sanitizers: the programs that preload it have none.
$(B)/obj/bench/startup/execonly.o $(B)/execonly.so: SAN :=
$(B)/obj/bench/startup/execonly.o: COMPONENT_CFLAGS = -fPIC
$(B)/execonly.so: $(B)/obj/bench/startup/execonly.o
	$(call say,LD,$@)
	$(Q)$(CC) -shared $^ $(LDFLAGS) -o $@

PROGRAMS += $(B)/stamp $(B)/mpistart $(B)/filecast

# Static: what a rank executes first must not read from the shared file system.
$(B)/obj/bench/startup/stamp.o $(B)/stamp: SAN :=
$(B)/stamp: $(B)/obj/bench/startup/stamp.o
	$(call say,LD,$@)
	$(Q)$(CC) -static $^ -o $@

$(foreach p,mpistart filecast,$(B)/obj/bench/startup/$(p).o $(B)/$(p)): CC := $(MPICC)
$(foreach p,mpistart filecast,$(B)/obj/bench/startup/$(p).o $(B)/$(p)): SAN :=
$(B)/mpistart $(B)/filecast: $(B)/%: $(B)/obj/bench/startup/%.o
	$(call say,LD,$@)
	$(Q)$(CC) $^ $(LDFLAGS) -o $@

include bench/libstorm/rules.mk

# Measures everything that bench/README.md lists under `make bench`, in build/bench: under 15 minutes on 2 cores.
BENCH_OUT := $(B)/bench
BENCH_SCALE := --dilate auto --ranks 1,2,4,8,16,32,64 --nodes 1,2,4,8,16
RIVALS := plain,cold,warm,staged,squashfs,loop,image,tar,stage,unpack

bench: all
	bench/model/calibrate --output $(BENCH_OUT)/calibrate
	bench/startup/run $(BENCH_SCALE) --output $(BENCH_OUT)/startup
	$(MAKE) bench-rivals
	bench/model/run --validate $(BENCH_OUT)/startup/results.json --output $(BENCH_OUT)/model
	bench/model/run --output $(BENCH_OUT)/model
	bench/trace/run --output $(BENCH_OUT)/trace

# Beside what else users do.
bench-rivals: all
	bench/startup/run --dilate auto --ranks 16 --nodes 8 --modes $(RIVALS) --output $(BENCH_OUT)/rivals

# Copies the small results to bench/results.
bench-keep:
	mkdir -p bench/results
	cp $(BENCH_OUT)/startup/startup-numpy-scipy.svg $(BENCH_OUT)/startup/startup-numpy-scipy.png \
	    $(BENCH_OUT)/startup/runs.csv bench/results
	cp $(BENCH_OUT)/startup/results.md bench/results/startup.md
	cp $(BENCH_OUT)/model/model.svg $(BENCH_OUT)/model/model.png $(BENCH_OUT)/model/model.md \
	    $(BENCH_OUT)/model/validation.md bench/results
	cp $(BENCH_OUT)/calibrate/machine.json $(BENCH_OUT)/calibrate/trace.json $(BENCH_OUT)/trace/trace.txt bench/results
	if [ -e $(BENCH_OUT)/bulk/bulk.md ]; then cp $(BENCH_OUT)/bulk/bulk.md $(BENCH_OUT)/bulk/bulk.csv bench/results; fi
	if [ -e $(BENCH_OUT)/pandas/results.md ]; then cp $(BENCH_OUT)/pandas/results.md bench/results/startup-pandas.md; fi
	if [ -e $(BENCH_OUT)/rivals/results.md ]; then \
	    cp $(BENCH_OUT)/rivals/results.md bench/results/rivals.md; \
	    cp $(BENCH_OUT)/rivals/rivals-numpy-scipy.svg bench/results; fi
	if [ -e $(BENCH_OUT)/dilation/dilation.md ]; then cp $(BENCH_OUT)/dilation/dilation.md bench/results; fi
	bench/startup/readme_tables.py $(BENCH_OUT)/startup/results.json $(BENCH_OUT)/model/model.json \
	    >bench/results/README-tables.md

.PHONY: bench-rivals bench-keep
include bench/hotpath/rules.mk
include bench/bulk/rules.mk
