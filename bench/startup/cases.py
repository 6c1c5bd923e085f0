# SPDX-License-Identifier: BSD-3-Clause
"""What bench/startup/run measures: workloads, modes (ways to start), and the matrix of cases."""

import dataclasses
import itertools

from rivals import RIVALS

COUNTED_MODES = ("plain", "cold", "warm")  # from the shared file system, whose server counts
MODES = (*COUNTED_MODES, "staged")
ALL_MODES = (*MODES, *RIVALS)

MPI = "from mpi4py import MPI; "

# {name: (packages of the environment, arguments of python)}; {env} stands for the directory of the environment.
WORKLOADS = {
    "pass": ("", ["-c", "pass"]),
    "mpi4py": ("mpi4py", ["-c", MPI + "MPI.COMM_WORLD.rank"]),
    "numpy-scipy": ("mpi4py numpy scipy", ["-c", MPI + "import numpy, scipy.linalg, scipy.sparse"]),
    "numpy-scipy-pandas": ("mpi4py numpy scipy pandas",
                           ["-c", MPI + "import numpy, scipy.linalg, scipy.sparse, pandas"]),
    "pandas-matplotlib": ("mpi4py pandas matplotlib", ["-c", MPI + "import pandas, matplotlib.pyplot"]),
    "torch": ("mpi4py torch", ["-c", MPI + "import torch"]),
    "storm": ("", ["{env}/storm/storm.py", "{env}/storm", "modules"]),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One cell of the matrix.

    kind    a mode, or "bare" (only MPI starts) or "exec" (the process ends before a preloaded library runs)
    """

    kind: str
    workload: str
    ranks: int
    nodes: int
    readahead: int = 0  # of the client, KiB; 0: its default

    def __str__(self):
        extra = f", read-ahead {self.readahead} KiB" if self.readahead else ""
        return f"{self.workload}, {self.kind}, {self.ranks} ranks on {self.nodes} nodes{extra}"


def shapes(ranks, nodes, full):
    """The pairs (ranks, nodes) of the matrix.

    full    all pairs; otherwise each number of ranks on as many nodes as have two ranks each
    """
    pairs = [(r, n) for r, n in itertools.product(ranks, nodes) if r >= n]
    if full:
        return pairs
    return [max((p for p in pairs if p[0] == r and p[1] <= max(1, r // 2)), default=(r, min(nodes)))
            for r in ranks if any(p[0] == r for p in pairs)]


def matrix(workloads, sizes, modes):
    """All timed cases, in the order of one repetition. One plain rank, to which the ratios are, comes first."""
    cases = []
    for workload in workloads:
        cases.append(Case("plain", workload, 1, 1))
        for ranks, nodes in sizes:
            cases += [Case(mode, workload, ranks, nodes) for mode in modes]
    cases += [Case("bare", "-", ranks, nodes) for ranks, nodes in sizes]
    return list(dict.fromkeys(cases))


def counting(workloads, sizes, modes, readaheads):
    """The cases of which only the operations count, so that they run once: exec, and all cases with other read-aheads."""
    counted = [mode for mode in modes if mode in COUNTED_MODES]
    cases = []
    for readahead, workload in itertools.product([0, *readaheads], workloads):
        for ranks, nodes in dict.fromkeys([(1, 1), *sizes]):
            cases.append(Case("exec", workload, ranks, nodes, readahead))
            if readahead:
                cases += [Case(mode, workload, ranks, nodes, readahead) for mode in counted]
        if readahead:
            cases.append(Case("plain", workload, 1, 1, readahead))
    return list(dict.fromkeys(cases))
