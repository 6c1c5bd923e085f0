# SPDX-License-Identifier: BSD-3-Clause
# tests/jobs/interpreters: interpreters and environments, each a job of two ranks against the same without the library.

PARALLEL_TESTS += test-interpreters
.PHONY: test-interpreters
test-interpreters: all
	$(Q)B=$(B) tests/run interpreters $(PYTEST) tests/jobs/interpreters/interpreters_test.py
