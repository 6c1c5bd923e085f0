# SPDX-License-Identifier: BSD-3-Clause
# tests/jobs/launchers: other MPI libraries (those of PyPI in environments of their own), and Slurm as the launcher.


TESTS_LONG += test-launchers-long test-slurm
.PHONY: test-launchers test-launchers-long test-slurm

# No Sessions, and another ABI: what is cheap to install.
test-launchers: all
	$(Q)B=$(B) tests/run mpich-3.4 $(PYTEST) tests/jobs/launchers/mpi_test.py -k mpich-3.4
	$(Q)B=$(B) tests/run openmpi-4 $(PYTEST) tests/jobs/launchers/mpi_test.py -k openmpi-4

test-launchers-long: all
	$(Q)for mpi in mpich-4.0 mpich-5 intel openmpi-5 openmpi-debian; do \
	    B=$(B) tests/run $$mpi $(PYTEST) tests/jobs/launchers/mpi_test.py -k $$mpi; done
	$(Q)B=$(B) tests/run openmpi-ratio $(PYTEST) tests/jobs/launchers/ratio_test.py

test-slurm: all
	$(Q)B=$(B) TEST_TIMEOUT=600 tests/run slurm $(PYTEST) tests/jobs/launchers/slurm_test.py
