# SPDX-License-Identifier: BSD-3-Clause
"""A build for aarch64 runs under qemu's user mode: the modules' tests, and a job of two ranks of Debian's Python and MPICH for arm64.

The launcher is this machine's own. mpi4py is PyPI's wheel for aarch64.
"""

import json
import os
import shutil
import subprocess
import zipfile

import pytest
from support import TESTED, call

pytestmark = pytest.mark.needs("qemu-aarch64-static", "mpiexec.mpich")
QEMU = "qemu-aarch64-static"
SYSROOT = TESTED / "root"
# These two load a library that this machine's compiler has made; and the page map that they read is the emulator's.
OF_THIS_MACHINE = ["originals", "touched"]
UNIT_TESTS = sorted(p for p in (TESTED / "tests/unit").iterdir() if p.is_file() and p.name not in OF_THIS_MACHINE) + [TESTED / "tests/elf/test_closure"]

PROGRAM = """
import asyncio, decimal, email.message, json, platform, sqlite3, os
from mpi4py import MPI
os.write(1, b"%s %d\\n" % (platform.machine().encode(), MPI.COMM_WORLD.allreduce(1)))
"""


@pytest.mark.parametrize("program", UNIT_TESTS, ids=lambda p: p.name)
def test_module(program):
    done = call(QEMU, "-L", SYSROOT, program, timeout=120)
    assert done.returncode == 0 and "[  PASSED  ]" in done.stdout + done.stderr, f"{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def application():
    """A directory with mpi4py and a program, and with MPICH under the name that mpi4py asks for."""
    place = TESTED / "application"
    if not (place / "mpi4py").exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        platforms = [word for name in ("manylinux_2_17_aarch64", "manylinux2014_aarch64") for word in ("--platform", name)]
        subprocess.run(["/usr/bin/python3", "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "--python-version", "3.11",
                        *platforms, "-d", place, "mpi4py"], check=True, timeout=200)
        with zipfile.ZipFile(next(place.glob("mpi4py-*.whl"))) as wheel:
            wheel.extractall(place)
        (place / "libmpi.so.12").symlink_to(SYSROOT / "usr/lib/aarch64-linux-gnu/libmpich.so.12")
    (place / "app.py").write_text(PROGRAM)
    return place


def job(application, settings):
    """Two ranks. QEMU_SET_ENV is for the ranks alone; qemu's own libraries are this machine's.

    UCX takes shared memory: over TCP, MPI_Session_finalize of MPICH 4.0 does not return now and then, in any program.
    """
    words = {"LD_LIBRARY_PATH": application, "MPI4PY_LIBMPI": application / "libmpi.so.12", "MPI4PY_MPIABI": "mpich", **settings}
    env = {**os.environ, "PYTHONPATH": str(application), "UCX_TLS": "posix,self", "QEMU_LD_PREFIX": str(SYSROOT),
           "QEMU_SET_ENV": ",".join(f"{k}={v}" for k, v in words.items())}
    return call("mpiexec.mpich", "-n", 2, QEMU, SYSROOT / "usr/bin/python3", application / "app.py", env=env, timeout=120)


def test_two_ranks_are_served(application, scratch):
    plain = job(application, {})
    done = job(application, {"LD_PRELOAD": TESTED / "libfastimport.so", "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off",
                             "FASTIMPORT_REPORT": f"{scratch}/report"})
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout) == (0, "aarch64 2\n" * 2), f"{plain} {done}"
    assert "fastimport: " not in done.stderr, done.stderr
    facts = json.loads((scratch / "report").read_text())
    calls = facts["calls"]
    print(f"    {calls}", flush=True)
    assert facts["ranks_reporting"] == 2 and facts["mpi"].startswith("MPICH"), str(facts)
    for family in ("open", "stat", "path", "dir", "dl"):
        assert calls[family]["served"] == calls[family]["intercepted"], f"{family}: {calls} {facts['fallbacks']}"
    assert calls["open"]["served"] > 100 and calls["stat"]["served"] > 400 and calls["dl"]["served"] > 10, str(calls)
    assert not facts["left_to_ld_so"], facts["left_to_ld_so"]
