# tests/mpi: whole jobs

.PHONY: test-mpi
TESTS += test-mpi
test-mpi: $(PROGRAMS)
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-start tests/mpi/start_test.py
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run mpi-jobs tests/mpi/job_test.py
	$(Q)B=$(B) TEST_TIMEOUT=300 tests/run mpi-relay tests/mpi/relay_test.py
