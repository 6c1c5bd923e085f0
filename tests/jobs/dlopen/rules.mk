# SPDX-License-Identifier: BSD-3-Clause
# tests/jobs/dlopen: dlopen under the library against ld.so alone.

DLOPEN_OBJ := $(B)/obj/tests/jobs/dlopen
PROGRAMS += $(DLOPEN_OBJ)/subject.o
$(DLOPEN_OBJ)/subject.o: SAN := $(if $(COVERAGE),,$(SAN)) # its tests link it themselves

DLOPEN_TESTS := $(patsubst tests/jobs/dlopen/%_test.py,test-dlopen-%,$(wildcard tests/jobs/dlopen/*_test.py))
ifeq ($(SANITIZE),) # under ASan libraries are left to ld.so: a second namespace cannot hold its runtime
PARALLEL_TESTS += test-dlopen-ldso test-dlopen-ctypes test-dlopen-large
TESTS += $(filter-out $(PARALLEL_TESTS),$(DLOPEN_TESTS))
endif
.PHONY: test-dlopen $(DLOPEN_TESTS)
test-dlopen: $(DLOPEN_TESTS)
$(DLOPEN_TESTS): test-dlopen-%: all
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run dlopen-$* $(PYTEST) tests/jobs/dlopen/$*_test.py
