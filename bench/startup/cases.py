"""What is measured: workloads, ways to start, and the matrix of cases."""

import dataclasses
import itertools

MODES = ("plain", "cold", "warm", "staged")

MODE_TEXT = {
    "plain": "from the shared file system, without fastimport",
    "cold": "with fastimport, first run",
    "warm": "with fastimport, second run (startup plan)",
    "staged": "from a copy on each node's own tmpfs, without fastimport (staging not counted)",
}

MPI = "from mpi4py import MPI; "

# name: (packages of the environment, arguments of python). {env} is the environment's directory.
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
    """One cell of the matrix. `kind` is a mode, or bare (an MPI start alone) or exec (no preloaded library runs yet)."""

    kind: str
    workload: str
    ranks: int
    nodes: int
    readahead: int = 0  # KiB; 0: the client's own

    def __str__(self):
        extra = f", read-ahead {self.readahead} KiB" if self.readahead else ""
        return f"{self.workload}, {self.kind}, {self.ranks} ranks on {self.nodes} nodes{extra}"


def shapes(ranks, nodes, full):
    """Pairs (ranks, nodes). Not full: each number of ranks on the most nodes that leave two ranks a node."""
    pairs = [(r, n) for r, n in itertools.product(ranks, nodes) if r >= n]
    if full:
        return pairs
    return [max((p for p in pairs if p[0] == r and p[1] <= max(1, r // 2)), default=(r, min(nodes)))
            for r in ranks if any(p[0] == r for p in pairs)]


def matrix(workloads, sizes, modes):
    """All timed cases, in the order in which one repetition takes them; the base of the ratios comes first."""
    cases = []
    for workload in workloads:
        cases.append(Case("plain", workload, 1, 1))
        for ranks, nodes in sizes:
            cases += [Case(mode, workload, ranks, nodes) for mode in modes]
    cases += [Case("bare", "-", ranks, nodes) for ranks, nodes in sizes]
    return list(dict.fromkeys(cases))


def counting(workloads, sizes, modes, readaheads):
    """Cases that need only be counted, once: what exec costs, and everything again with other read-aheads."""
    counted = [mode for mode in modes if mode != "staged"]
    cases = []
    for readahead, workload in itertools.product([0, *readaheads], workloads):
        for ranks, nodes in dict.fromkeys([(1, 1), *sizes]):
            cases.append(Case("exec", workload, ranks, nodes, readahead))
            if readahead:
                cases += [Case(mode, workload, ranks, nodes, readahead) for mode in counted]
        if readahead:
            cases.append(Case("plain", workload, 1, 1, readahead))
    return list(dict.fromkeys(cases))
