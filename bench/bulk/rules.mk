# SPDX-License-Identifier: BSD-3-Clause
# bench/bulk: compares the bulk of a plan with a bare broadcast.

PROGRAMS += $(B)/bcast-bare

$(B)/obj/bench/bulk/bare.o: COMPONENT_CPPFLAGS = $(MPI_CFLAGS)
$(B)/obj/bench/bulk/bare.o $(B)/bcast-bare: SAN :=
$(B)/bcast-bare: CC := $(MPICC)
$(B)/bcast-bare: $(B)/obj/bench/bulk/bare.o
	$(call say,LD,$@)
	$(Q)$(CC) $^ $(LDFLAGS) -o $@

.PHONY: bench-bulk
bench-bulk: all
	$(Q)bench/bulk/run --output $(BENCH_OUT)/bulk
