# SPDX-License-Identifier: BSD-3-Clause
# bench/hotpath: measures what one call costs.

PROGRAMS += $(B)/hotpath

$(B)/hotpath: $(B)/obj/bench/hotpath/hotpath.o
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS) -rdynamic $^ -o $@

.PHONY: bench-hotpath
bench-hotpath: $(B)/hotpath $(B)/libfastimport.so
	$(Q)bench/hotpath/run --build $(B)
