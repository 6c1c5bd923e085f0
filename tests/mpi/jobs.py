"""Runs jobs for the tests beside this file, and the tests.

Each test is a function whose name begins with test_; give names as arguments to run only these. Needs root (mounts).
Closes with "N passed, N failed[, N skipped]".
"""

import contextlib
import glob
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "bench/emulator/nodes"))
import sharedjob  # noqa: E402

BUILD = sharedjob.BUILD
LIBRARY = BUILD / "libfastimport.so"
MPIEXEC = "mpiexec.mpich"
SHARE = subprocess.check_output([ROOT / "bench/env/make-env"], text=True).strip()
PYTHON = f"{SHARE}/env/bin/python"

IMPORTS = "import numpy, scipy.linalg, scipy.sparse"
ALLREDUCE = f"""
{IMPORTS}
from mpi4py import MPI
total = MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank)
if MPI.COMM_WORLD.rank == 0:
    print("sum", total, scipy.linalg.det(numpy.eye(3)))
"""


def script(directory, text):
    path = pathlib.Path(directory, "app.py")
    path.write_text(textwrap.dedent(text))
    return path


# An NFS client with rsize=1M and the read-ahead that belongs to it: 15 x rsize (RHEL up to 8.2, SLES, Debian up to 10). How
# much of a library a plain run reads by page faults depends on it; bench/README.md has the other settings.
CLIENT = ["--read-only", "--readahead", "15360"]


def shared_job(text, ranks, nodes, preload=True, env=None):
    """The script as a job whose environment is on the shared file system; counting only, no latencies. Cold."""
    with tempfile.TemporaryDirectory() as scratch:
        return sharedjob.run([PYTHON, script(scratch, text)], SHARE, ranks, nodes, CLIENT,
                             env={"FASTIMPORT_PLAN": "off", **(env or {})}, preload=LIBRARY if preload else None, timeout=240)


@contextlib.contextmanager
def network_directory(*client):
    """A directory on the emulated shared file system (client: options of sharedfs), and one on a local disk."""
    with tempfile.TemporaryDirectory() as scratch:
        source, mount, local = (pathlib.Path(scratch, n) for n in ("source", "mount", "local"))
        for directory in (source, mount, local):
            directory.mkdir()
        subprocess.run([BUILD / "sharedfs", "mount", source, mount, "--state", f"{scratch}/state", "--rtt=0", "--meta-us=0", *client],
                       check=True, timeout=30)
        try:
            yield mount, local
        finally:
            subprocess.run([BUILD / "sharedfs", "umount", mount], check=True, timeout=30)


# A module for the ranks of read_job(): what else they do is their own.
READER = """
import json, os, subprocess

def operations():
    \"\"\"What the file system was asked so far, by anybody.\"\"\"
    return json.loads(subprocess.check_output(["{sharedfs}", "stats", "{state}"], env={{}}))["metadata_ops"]

def read():
    \"\"\"Opens, reads, looks at what is there, and looks for what is not.\"\"\"
    for n in range({files}):
        with open(f"{mount}/{{n}}") as f:
            assert f.read() == str(n) and os.stat(f"{mount}/{{n}}").st_size == len(str(n))
        assert not os.path.exists(f"{mount}/{{n}}.none")
"""


def read_job(text, ranks=2, env=None, files=20):
    """A job whose ranks can `import reader`: read() reads files on a client of the shared file system that remembers nothing,
    so that what fastimport does not serve adds to operations()."""
    with network_directory("--attr-timeout=0", "--entry-timeout=0", "--negative-timeout=0") as (mount, local):
        for n in range(files):
            (mount / str(n)).write_text(str(n))
        (local / "reader.py").write_text(READER.format(sharedfs=BUILD / "sharedfs", state=mount.parent / "state", mount=mount, files=files))
        return python_job(text, ranks, {"FASTIMPORT_PATH": str(mount), "PYTHONPATH": str(local), **(env or {})})


def with_scratch(make):
    """For tests that take what make(directory) gives: each has a directory of its own, gone afterwards."""
    def decorate(test):
        def run():
            with tempfile.TemporaryDirectory() as scratch:
                test(make(scratch))

        run.__name__ = test.__name__
        return run

    return decorate


def local_job(command, ranks=2, env=None, timeout=60, wrap=()):
    """A job on this node without the emulator; any file system is served. wrap: words before the launcher's."""
    settings = {"LD_PRELOAD": str(LIBRARY), "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", **(env or {})}
    words = [f"{k}={v}" for k, v in settings.items() if v is not None]
    return subprocess.run([*wrap, MPIEXEC, "-n", str(ranks), "env", *words, *map(str, command)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout)


def nodes_job(text, ranks, nodes, env=None, timeout=60, after=""):
    """A job on several emulated nodes that share nothing; any file system is served. after: what a shell does when a Python has failed."""
    settings = {"LD_PRELOAD": str(LIBRARY), "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", **(env or {})}
    with tempfile.TemporaryDirectory() as scratch:
        command = [PYTHON, script(scratch, text)]
        if after:
            command = ["bash", "-c", f"{command[0]} {command[1]} || {after}"]
        return subprocess.run([ROOT / "bench/emulator/nodes/mpiexec-nodes", "-N", str(nodes), "-n", str(ranks), *[f"--env={k}={v}" for k, v in settings.items()],
                               "--", *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)


def plain_job(command, ranks=2, timeout=60):
    return subprocess.run([MPIEXEC, "-n", str(ranks), *map(str, command)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout)


def python_job(text, ranks=2, env=None, **kw):
    with tempfile.TemporaryDirectory() as scratch:
        return local_job([PYTHON, script(scratch, text)], ranks, env, **kw)


@contextlib.contextmanager
def cache_place():
    """A directory of its own for node caches, so that other jobs of this machine do not matter."""
    with tempfile.TemporaryDirectory(prefix="fastimport-test-", dir="/dev/shm") as place:
        yield place


def caches(place):
    return set(glob.glob(f"{place}/fastimport-*"))


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def check_done(done, output=None, code=0):
    check(done.returncode == code, f"exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
    if output is not None:
        check(done.stdout == output, f"output {done.stdout!r}, not {output!r}\n{done.stderr}")
    check("fastimport" not in done.stderr, f"unexpected message: {done.stderr}")


class Skipped(Exception):
    """What the test is about cannot be had here; the text says what and why."""


def run_all(module, names):
    tests = {n: f for n, f in module.items() if n.startswith("test_") and (not names or n in names)}
    failed = skipped = 0
    for name, test in tests.items():
        start = time.monotonic()
        try:
            test()
            print(f"ok    {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except Skipped as reason:
            skipped += 1
            print(f"skip  {name}: {reason}", flush=True)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"FAIL  {name}: {error}", flush=True)
        except Exception:  # a test that cannot run has failed, too
            failed += 1
            print(f"FAIL  {name}: {traceback.format_exc()}", flush=True)
    print(f"{len(tests) - failed - skipped} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0
