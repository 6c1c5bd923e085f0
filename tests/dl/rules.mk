# tests/dl: dlopen under the library against ld.so alone.

DL_T := $(B)/obj/tests/dl
PROGRAMS += $(DL_T)/subject.o
$(DL_T)/subject.o: SAN := $(if $(COVERAGE),,$(SAN)) # its tests link it themselves
ifeq ($(SANITIZE),) # under ASan libraries are left to ld.so: a second namespace cannot hold its runtime
TESTS += test-dl test-ctypes test-early test-storm
TESTS_LONG += test-packages
endif
.PHONY: test-dl test-ctypes test-early test-storm test-packages

test-dl: $(PROGRAMS)
	$(Q)B=$(B) tests/run dl tests/dl/dl_test.py

test-ctypes: $(PROGRAMS)
	$(Q)B=$(B) tests/run ctypes tests/dl/ctypes_test.py

test-early: $(PROGRAMS)
	$(Q)B=$(B) tests/run early tests/dl/early_test.py

test-storm: $(PROGRAMS)
	$(Q)B=$(B) tests/run storm tests/dl/storm_test.py

# Packages of PyPI: the first run builds their environment.
test-packages: $(PROGRAMS)
	$(Q)B=$(B) TEST_TIMEOUT=3600 tests/run packages tests/dl/packages_test.py
