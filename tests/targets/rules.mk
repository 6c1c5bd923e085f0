# SPDX-License-Identifier: BSD-3-Clause
# tests/targets: what `make TARGET=...` builds (.ci/target.mk). `make deps-target` installs what these tests need.
#
# TARGETS=1 makes them a part of `make check`, as .ci/run does; `make check-long` has them in any case.

OLD_GLIBC := x86_64-linux-gnu.2.28
AARCH64 := aarch64-linux-gnu.2.28
TARGET_TESTS := test-target-glibc test-target-aarch64
TESTS += $(if $(filter 1,$(TARGETS)),$(TARGET_TESTS))
TESTS_LONG += $(TARGET_TESTS)
.PHONY: $(TARGET_TESTS)

# Its jobs: the programs beside them are those of this build, but the library is the other one.
OLD_GLIBC_JOBS := start children dlopen/ldso
test-target-glibc: all
	$(Q)$(MAKE) --no-print-directory TARGET=$(OLD_GLIBC) B=build-$(OLD_GLIBC) all
	$(Q)B=$(B) FASTIMPORT_TEST_PRODUCTS=build-$(OLD_GLIBC) tests/run target-glibc $(PYTEST) tests/targets/glibc_test.py
	$(Q)B=$(B) FASTIMPORT_TEST_PRODUCTS=build-$(OLD_GLIBC) TEST_TIMEOUT=600 tests/run target-glibc-jobs \
	    $(PYTEST) $(OLD_GLIBC_JOBS:%=tests/jobs/%_test.py)

test-target-aarch64: all
	$(Q)$(MAKE) --no-print-directory TARGET=$(AARCH64) B=build-$(AARCH64) all target-tests
	$(Q)B=$(B) FASTIMPORT_TEST_PRODUCTS=build-$(AARCH64) TEST_TIMEOUT=600 tests/run target-aarch64 \
	    $(PYTEST) tests/targets/glibc_test.py tests/targets/aarch64_test.py

# The tests that an emulator of the target's processor can run.
.PHONY: target-tests
target-tests: $(UNIT_TESTS:%=$(B)/tests/unit/%) $(B)/tests/elf/test_closure
