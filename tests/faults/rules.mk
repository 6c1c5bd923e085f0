# tests/faults: whole jobs with a fault at each boundary below libfastimport.so. The table in preload/DESIGN.md names the tests.

PROGRAMS += $(B)/faults.so

$(B)/obj/tests/faults/%.o: COMPONENT_CFLAGS = -fPIC -fno-builtin -Wno-nonnull
$(B)/faults.so: $(B)/obj/tests/faults/faults.o
	$(call say,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -shared -o $@ $<

ifeq ($(SANITIZE),) # a sanitizer's own allocator and interceptors stand where the faults would
TESTS += test-faults
endif
.PHONY: test-faults
test-faults: all
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run faults tests/faults/faults_test.py
