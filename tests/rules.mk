# SPDX-License-Identifier: BSD-3-Clause
# tests: programs and tests

# Tests in Python: tests/run NAME $(PYTEST) FILE. tests/pytest.ini says how to run one test by itself.
PYTEST := /usr/bin/python3 -B -m pytest -c tests/pytest.ini

# The fuzzers search for FUZZ_SECONDS each; in check-long for FUZZ_LONG, differential's from the day's seed.
FUZZERS := fuzz fuzz-elf fuzz-segment
FUZZ_SECONDS ?= 600
FUZZ_LONG ?= 150

TESTS_LONG += $(FUZZERS:%=test-%-long)
.PHONY: $(FUZZERS:%=test-%-long)
$(FUZZERS:%=test-%-long): test-%-long: all
	@B=$(B) TEST_TIMEOUT=900 tests/run $*-long $(MAKE) --no-print-directory $* SEED=$$(date +%Y%m%d) FUZZ_SECONDS=$(FUZZ_LONG)

# Two of these run at a time: tests that share nothing, measure no time, and count nothing that another process changes. The
# first ones wait for most of their time, and those behind them compute.
PARALLEL_TESTS := test-jobs-unlike-ranks $(if $(COVERAGE),,test-races) test-unit-presence test-jobs-exec test-launchers \
    $(addprefix test-jobs-,mpi-names namespaces report children)
TESTS += test-parallel
.PHONY: test-parallel
test-parallel: all
	$(Q)$(MAKE) --no-print-directory $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j2 -O) $(PARALLEL_TESTS)

include tests/architecture/rules.mk
include tests/unit/rules.mk
include tests/elf/rules.mk
include tests/conformance/rules.mk
include tests/bench/rules.mk
include tests/jobs/rules.mk
include tests/tool/rules.mk
include tests/product/rules.mk
include tests/external/rules.mk
include tests/targets/rules.mk
