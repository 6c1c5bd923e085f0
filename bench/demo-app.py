# SPDX-License-Identifier: BSD-3-Clause
"""The program of bench/demo: imports numpy and scipy and adds up a vector over all ranks. Rank 0 prints the result."""

from mpi4py import MPI
import numpy
import scipy.linalg
import scipy.sparse

comm = MPI.COMM_WORLD
mine = numpy.full(1000, comm.rank + 1.0)
total = numpy.empty_like(mine)
comm.Allreduce(mine, total)
triangle = scipy.linalg.cholesky(scipy.sparse.eye_array(3).toarray() * total[0])
if comm.rank == 0:
    print(f"{comm.size} ranks: sum {total[0]:.0f}, numpy {numpy.__version__}, scipy {scipy.__version__}, "
          f"cholesky {triangle[0, 0]:.6f}")
