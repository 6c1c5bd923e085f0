# SPDX-License-Identifier: BSD-3-Clause
"""Programs of PyPI end, print and warn under the library as without it, on two ranks of one node and of two.

The tables in pypi/ name the programs. Each runs in a virtual environment of its own, which is kept. On one node any file system
is served. On two emulated nodes the environment is on the emulated shared file system; the second start has the plan of the first.

    make test-programs PROGRAM="torch numba"     these programs
    make test-programs-learning                   one table

Environments of more than BIG bytes are removed after their table, unless KEEP_VENVS is set.
"""

import os
import pathlib
import re
import shutil
import sysconfig
import typing

import pytest
import sharedjob
import venvs
from job import CLIENT, LIBRARY, MPIEXEC, run, script
from pypi import files, learning, numerics, parts, science, tools

pytestmark = pytest.mark.needs("root", "mpiexec.mpich")

TABLES = {"learning": learning, "numerics": numerics, "files": files, "parts": parts, "science": science, "tools": tools}
PROGRAMS = {f"{table}-{name}": row for table, module in TABLES.items() for name, row in module.PROGRAMS.items()}
WANTED = os.environ.get("PROGRAM", "").split()
USED = set()  # the environments of this run
CASES = [case for case in PROGRAMS if not WANTED or case.partition("-")[2] in WANTED]

LEAST_FREE = 10 << 30  # bytes of disk: torch and what it needs have half of them
BIG = 1 << 30
TIMEOUT = 300  # seconds a job

# In the directory of the rank, as a batch script would.
START = 'mkdir -p "$0/$PMI_RANK" && cd "$0/$PMI_RANK" && export HOME="$PWD" TMPDIR="$PWD" && exec "$@" >stdout 2>stderr'
MPICH = f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}/libmpich.so.12"  # the launcher's
SETTINGS = {
    **dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "NUMBA_NUM_THREADS"], "1"),
    "PYTHONHASHSEED": "0",
    "MPI4PY_LIBMPI": MPICH,
    "MPI4PY_MPIABI": "mpich",
}


class Outcome(typing.NamedTuple):
    code: int
    texts: dict  # "RANK/stdout", "RANK/stderr": what the rank has printed
    launcher: str  # what came by the launcher's standard streams
    report: dict | None


class Program:
    """One program and its places. All its jobs run in directories of the same names, so that they print the same."""

    def __init__(self, case, scratch):
        packages, text = PROGRAMS[case]
        if shutil.disk_usage(venvs.BASE.parent).free < LEAST_FREE:
            pytest.skip(f"less than {LEAST_FREE >> 30} GiB of disk are free")
        self.environment = venvs.venv(*packages.split())
        USED.add(self.environment)
        self.scratch = scratch
        (scratch / "lib").mkdir()
        for name in "libmpi.so.12", "libmpi.so":  # for mpi4py's wheel, and for NEURON's
            (scratch / "lib" / name).symlink_to(MPICH)
        self.settings = {**SETTINGS, "LD_LIBRARY_PATH": scratch / "lib"}
        self.command = ["sh", "-c", START, scratch / "ranks", self.environment / "bin/python", script(scratch, text)]

    def outcome(self, code, launcher, report):
        ranks = self.scratch / "ranks"
        texts = {f"{rank}/{stream}": (ranks / rank / stream).read_text(errors="replace") for rank in "01" for stream in ("stdout", "stderr")
                 if (ranks / rank / stream).exists()}
        shutil.rmtree(ranks, ignore_errors=True)
        return Outcome(code, texts, launcher, report)

    def on_one_node(self, library):
        report = self.scratch / "report"
        more = {"LD_PRELOAD": LIBRARY, "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", "FASTIMPORT_REPORT": report} if library else {}
        done = run([MPIEXEC, "-n", 2, "env", *(f"{k}={v}" for k, v in {**self.settings, **more}.items()), *self.command], TIMEOUT)
        return self.outcome(done.returncode, done.stdout + done.stderr, sharedjob.read_json(report))

    def on_two_nodes(self, library):
        """With the library, the plan in the scratch directory is used and written."""
        done = sharedjob.run(self.command, self.environment, 2, 2, [*CLIENT, "--rtt=0", "--meta-us=0", "--bandwidth=0"],
                             env={**self.settings, "FASTIMPORT_PLAN": self.scratch / "plan"}, preload=LIBRARY if library else None, timeout=TIMEOUT)
        return self.outcome(done.code, done.output + done.errors, done.report)


def comparable(name, text):
    """What is the same in each run. In warnings numbers are not: they are times, process ids and addresses. Neither is the order of
    their lines: several threads write them."""
    if name.endswith("stdout"):
        return text
    return "\n".join(sorted(re.sub(r"0x[0-9a-f]+|\d+(\.\d+)?", "N", line) for line in text.splitlines()))


def assert_same(plain, ours):
    assert plain.code == 0 and len(plain.texts) == 4, f"without the library: exit code {plain.code}\n{plain.launcher}{plain.texts}"
    assert ours.code == 0, f"exit code {ours.code}\n{ours.launcher}{ours.texts}"
    for name, text in plain.texts.items():
        assert comparable(name, ours.texts[name]) == comparable(name, text), f"{name}:\n{ours.texts[name]}\nwithout the library:\n{text}"
    for said in [ours.launcher, *ours.texts.values()]:
        assert "fastimport: " not in said, said
    assert ours.report is not None and ours.report["ranks_reporting"] == 2, f"report: {ours.report}"
    served = {kind: ours.report["calls"][kind]["served"] for kind in ("open", "stat")}
    assert min(served.values()) > 0, f"served: {served}"
    print(f"    {served['open']} opens, {served['stat']} stats, {ours.report['calls']['dl']['served']} dlopens served, "
          f"{ours.report['fallbacks']['library']} libraries left to ld.so")


@pytest.fixture(scope="module", autouse=True)
def remove_big_environments():
    """After the last program of this run: torch's packages have 5 GB."""
    yield
    if "KEEP_VENVS" in os.environ:
        return
    for place in USED:
        if size_of(place) > BIG:
            shutil.rmtree(place)


def size_of(directory):
    return sum(file.lstat().st_size for file in pathlib.Path(directory).rglob("*") if not file.is_dir())


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("case", CASES)
def test_program(case, nodes, scratch):
    program = Program(case, scratch)
    job = program.on_one_node if nodes == 1 else program.on_two_nodes
    plain = job(library=False)
    assert_same(plain, job(library=True))
    if nodes == 2:
        assert (scratch / "plan").exists(), "the first start has left no plan"
        assert_same(plain, job(library=True))
