#!/usr/bin/python3
"""The MPI libraries of the MPICH ABI that PyPI has, each started by its own mpiexec.

    mpich_test.py mpich-3.4|mpich-4.0|mpich-5|intel [TEST...]

MPICH 3.4 has no Sessions, as Cray MPICH 8 and MVAPICH2 have none.
"""

import sys

sys.dont_write_bytecode = True
from installed import environment  # noqa: E402
from family import Mpi, tests_of  # noqa: E402
import jobs  # noqa: E402

# Intel's nodes are emulated here: the fabric is TCP. Its launcher says 255 for a rank that exits with MPI open, whatever the code.
MPIS = {
    "mpich-3.4": lambda: Mpi(environment("mpich==3.4.3", "mpi4py"), "MPICH Version:\t3.4"),
    "mpich-4.0": lambda: Mpi(environment("mpich==4.0.3", "mpi4py"), "MPICH Version:\t4.0"),
    "mpich-5": lambda: Mpi(environment("mpich>=5", "mpi4py"), "MPICH Version:      5.", can_start_twice=False),
    "intel": lambda: Mpi(environment("impi-rt", "mpi4py"), "Intel(R) MPI Library", {"FI_PROVIDER": "tcp"}, has_codes=False),
}

if __name__ == "__main__":
    sys.exit(jobs.run_all(tests_of(MPIS[sys.argv[1]]), sys.argv[2:]))
