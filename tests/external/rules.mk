# SPDX-License-Identifier: BSD-3-Clause
# tests/external: test suites and packages of others under the library. What takes minutes is left to `make check-long`.

PARALLEL_TESTS += test-packages test-cpython
TESTS_LONG += test-wheels test-writes test-cpython-long
.PHONY: test-packages test-wheels test-writes test-cpython test-cpython-long

test-packages: all
	$(Q)B=$(B) tests/run packages $(PYTEST) tests/external/packages_test.py

# Their environment is built by the first run.
ifeq ($(SANITIZE),)
test-wheels: all
	$(Q)B=$(B) TEST_TIMEOUT=3600 tests/run wheels $(PYTEST) tests/external/wheels_test.py
endif

test-writes: all
	$(Q)B=$(B) tests/run writes $(PYTEST) tests/external/writes_test.py

test-cpython: all
	$(Q)B=$(B) tests/run cpython $(PYTEST) tests/external/cpython_test.py -k short

test-cpython-long: all
	$(Q)B=$(B) TEST_TIMEOUT=7200 tests/run cpython-long $(PYTEST) tests/external/cpython_test.py -k long

# Each table of tests/external/pypi by itself, since they take long. `make test-programs PROGRAM="torch numba"` runs these only.
PROGRAM_TABLES := learning numerics files parts science tools
ifeq ($(SANITIZE),)
TESTS_LONG += $(PROGRAM_TABLES:%=test-programs-%)
endif
.PHONY: test-programs $(PROGRAM_TABLES:%=test-programs-%)
test-programs: all
	$(Q)B=$(B) TEST_TIMEOUT=7200 PROGRAM="$(PROGRAM)" tests/run programs $(PYTEST) tests/external/programs_test.py

$(PROGRAM_TABLES:%=test-programs-%): test-programs-%: all
	$(Q)B=$(B) TEST_TIMEOUT=7200 tests/run programs-$* $(PYTEST) tests/external/programs_test.py -k $*-
