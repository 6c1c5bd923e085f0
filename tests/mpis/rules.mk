# tests/mpis: other MPI libraries (those of PyPI in environments of their own), and Slurm as the launcher.

.PHONY: test-mpis test-mpis-long test-slurm
TESTS += test-mpis
TESTS_LONG += test-mpis-long test-slurm

# No Sessions, and another ABI: what is cheap to install.
test-mpis: $(PROGRAMS)
	$(Q)B=$(B) tests/run mpis-mpich-3.4 tests/mpis/mpich_test.py mpich-3.4
	$(Q)B=$(B) tests/run mpis-openmpi-4 tests/mpis/openmpi_test.py 4

test-mpis-long: $(PROGRAMS)
	$(Q)for mpi in mpich-4.0 mpich-5 intel; do B=$(B) tests/run mpis-$$mpi tests/mpis/mpich_test.py $$mpi; done
	$(Q)for mpi in 5 debian; do B=$(B) tests/run mpis-openmpi-$$mpi tests/mpis/openmpi_test.py $$mpi; done

test-slurm: $(PROGRAMS)
	$(Q)B=$(B) tests/run mpis-slurm tests/mpis/slurm_test.py
