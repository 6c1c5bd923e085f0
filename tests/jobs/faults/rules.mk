# SPDX-License-Identifier: BSD-3-Clause
# tests/jobs/faults: whole jobs with a fault at each boundary below libfastimport.so.

PROGRAMS += $(B)/faults.so

$(B)/obj/tests/jobs/faults/%.o: COMPONENT_CFLAGS = -fPIC -fno-builtin -Wno-nonnull
$(B)/faults.so: $(B)/obj/tests/jobs/faults/faults.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -shared -o $@ $<

ifeq ($(SANITIZE),) # a sanitizer's own allocator and interceptors stand where the faults would
TESTS += test-faults
endif
.PHONY: test-faults
test-faults: all
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run faults $(PYTEST) tests/jobs/faults/faults_test.py
