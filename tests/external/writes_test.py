# SPDX-License-Identifier: BSD-3-Clause
"""Programs that write into their own environment: what one rank writes the others use, on all nodes."""

import shutil
import sysconfig
import zipfile

import pytest
from job import MPIEXEC_NODES, run, script, settings_with
from venvs import venv

pytestmark = pytest.mark.needs("root", "mpiexec.mpich")

WHEEL = {
    "installed/__init__.py": "from .part import value\n",
    "installed/part.py": "value = 42\n",
    "installed-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: installed\nVersion: 1.0\n",
    "installed-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "installed-1.0.dist-info/RECORD": "",
}


@pytest.fixture
def environment(scratch):
    """A function: a copy of a virtual environment with these packages, which the test may change. Its MPI is the launcher's, which
    Debian calls libmpich.so.12, and mpi4py's wheel libmpi.so.12."""
    def copy(*packages):
        place = scratch / "env"
        shutil.copytree(venv(*packages), place, symlinks=True)
        (place / "lib/libmpi.so.12").symlink_to(f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}/libmpich.so.12")
        return place
    return copy


def job(environment, scratch, text, nodes):
    """All ranks print "right"."""
    command = [environment / "bin/python", script(scratch, text)]
    done = run([MPIEXEC_NODES, "-N", nodes, "-n", 4, *[f"--env={word}" for word in settings_with({"LD_LIBRARY_PATH": environment / "lib"})], "--", *command], timeout=120)
    assert (done.returncode, done.stdout) == (0, "right\n" * 4), done.stdout + done.stderr
    assert "fastimport" not in done.stderr, done.stderr


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_rank_0_installs_a_package(environment, scratch, nodes):
    wheel = scratch / "installed-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in WHEEL.items():
            archive.writestr(name, content)
    job(environment("mpi4py"), scratch, f"""
        import importlib.metadata, subprocess, sys
        from mpi4py import MPI
        comm = MPI.COMM_WORLD
        assert comm.size == 4
        try:
            import installed
            raise SystemExit("it is there already")
        except ModuleNotFoundError:
            pass
        comm.barrier()
        if comm.rank == 0:
            subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-index", "--disable-pip-version-check",
                            "--root-user-action=ignore", "{wheel}"], check=True)
        comm.barrier()
        importlib.invalidate_caches()
        import installed
        assert installed.value == 42 and importlib.metadata.version("installed") == "1.0"
        comm.barrier()
        if comm.rank == 3:
            subprocess.run([sys.executable, "-m", "pip", "uninstall", "-q", "-y", "--disable-pip-version-check",
                            "--root-user-action=ignore", "installed"], check=True)
        comm.barrier()
        importlib.invalidate_caches()
        del sys.modules["installed"], sys.modules["installed.part"]
        try:
            import installed
            raise SystemExit("it is there still")
        except ModuleNotFoundError:
            print("right")
        """, nodes)


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_the_cache_of_numba(environment, scratch, nodes):
    """Rank 0 compiles; the others find what it has written beside the module."""
    place = environment("mpi4py", "numba")
    site = next(place.glob("lib/python3*/site-packages"))
    (site / "kernel.py").write_text("import numba\n\n\n@numba.njit(cache=True)\ndef triple(x):\n    return 3 * x\n")
    job(place, scratch, """
        from mpi4py import MPI
        import kernel
        comm = MPI.COMM_WORLD
        assert comm.size == 4
        if comm.rank == 0:
            assert kernel.triple(2) == 6 and sum(kernel.triple.stats.cache_misses.values()) == 1
        comm.barrier()
        assert kernel.triple(5) == 15
        assert comm.rank == 0 or sum(kernel.triple.stats.cache_hits.values()) == 1, kernel.triple.stats
        print("right")
        """, nodes)
