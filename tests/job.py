# SPDX-License-Identifier: BSD-3-Clause
"""Jobs under libfastimport.so, for the tests of all folders. conftest.py has the fixtures that belong to them.

    local_job      a command on this node; python_job: the same of a script's text
    nodes_job      a script on emulated nodes that share nothing
    shared_job     a script on emulated nodes whose Python environment is on the emulated shared file system
    read_job       a script that reads served files, and can ask how many operations that cost
    plain_job      a command without the library
    same           a command without the library and with it: the same output, and so many calls served

LIBRARY       the library under test
ENVIRONMENT   the directory of a Python environment with mpi4py, numpy and scipy, PYTHON its interpreter. They exist in
              tests with the mark needs("environment").
"""

import contextlib
import glob
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap

from support import BUILD, ROOT, TESTED

sys.path.insert(0, str(ROOT / "bench/emulator/nodes"))
import sharedjob  # noqa: E402

LIBRARY = TESTED / "libfastimport.so"
MPIEXEC = "mpiexec.mpich"
MPIEXEC_NODES = sharedjob.MPIEXEC_NODES
ENVIRONMENT = subprocess.check_output([ROOT / "bench/env/env-path"], text=True).strip()
PYTHON = f"{ENVIRONMENT}/env/bin/python"

IMPORTS = "import numpy, scipy.linalg, scipy.sparse"
ALLREDUCE = f"""
{IMPORTS}
from mpi4py import MPI
total = MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank)
if MPI.COMM_WORLD.rank == 0:
    print("sum", total, scipy.linalg.det(numpy.eye(3)))
"""

# What the library says of a program below a shell.
FROM_INIT = "served from its MPI_Init on only: the shell that started it (bash)"
NO_INIT = "has not called MPI_Init, so nothing of it was served: until then the shell that started it (bash)"

# An NFS client with rsize=1M and the read-ahead that belongs to it: 15 x rsize (RHEL up to 8.2, SLES, Debian up to 10). How
# much of a library a plain run reads by page faults depends on it; bench/README.md has the other settings.
CLIENT = ["--read-only", "--readahead", "15360"]

os.environ.pop("PYTHONUNBUFFERED", None)  # it splits a print into several writes, and those of the ranks mix in a line


def script(directory, text):
    """Writes the text to app.py in the directory, and returns its path."""
    path = pathlib.Path(directory, "app.py")
    path.write_text(textwrap.dedent(text))
    return path


def settings_with(env, **more):
    """The variables for a job in which any file system is served, without a plan; None removes one. As words for env(1)."""
    settings = {"LD_PRELOAD": str(LIBRARY), "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", **more, **(env or {})}
    return [f"{k}={v}" for k, v in settings.items() if v is not None]


def run(command, timeout, **options):
    """Runs a command and returns its CompletedProcess. It does not check the exit code."""
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, **options)


# --- jobs ----------------------------------------------------------------------------------------------------------


def plain_job(command, ranks=2, timeout=60):
    """A job without the library."""
    return run([MPIEXEC, "-n", ranks, *command], timeout)


def local_job(command, ranks=2, env=None, timeout=60, wrap=()):
    """A job on this node. wrap: words before the launcher's."""
    return run([*wrap, MPIEXEC, "-n", ranks, "env", *settings_with(env), *command], timeout)


def python_job(text, ranks=2, env=None, **kw):
    """local_job() of a script."""
    with tempfile.TemporaryDirectory() as scratch:
        return local_job([PYTHON, script(scratch, text)], ranks, env, **kw)


def nodes_job(text, ranks, nodes, env=None, timeout=60, after=""):
    """A script on several emulated nodes that share nothing. after: what a shell does when a Python has failed."""
    with tempfile.TemporaryDirectory() as scratch:
        command = [PYTHON, script(scratch, text)]
        if after:
            command = ["bash", "-c", f"{command[0]} {command[1]} || {after}"]
        return run([MPIEXEC_NODES, "-N", nodes, "-n", ranks, *[f"--env={word}" for word in settings_with(env)], "--", *command], timeout)


def shared_job(text, ranks, nodes, preload=True, env=None):
    """The script as a job whose environment is on the shared file system; counting only, no latencies. Cold."""
    with tempfile.TemporaryDirectory() as scratch:
        return sharedjob.run([PYTHON, script(scratch, text)], ENVIRONMENT, ranks, nodes, CLIENT,
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


# --- node caches -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def cache_directory():
    """A directory of its own for node caches (FASTIMPORT_DIR), so that other jobs of this machine do not matter."""
    with tempfile.TemporaryDirectory(prefix="fastimport-test-", dir="/dev/shm") as place:
        yield place


def caches(place):
    """The node caches in a directory."""
    return set(glob.glob(f"{place}/fastimport-*"))


# --- what is expected ------------------------------------------------------------------------------------------------


def assert_done(done, output=None, code=0):
    """The job has ended with this code and this output (None: any), and the library has said nothing."""
    assert done.returncode == code, f"exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
    assert output is None or done.stdout == output, f"output {done.stdout!r}, not {output!r}\n{done.stderr}"
    assert "fastimport" not in done.stderr, f"unexpected message: {done.stderr}"


def same_output(output, expected):
    """Whether two texts have the same characters: the launcher mixes what several ranks print, even within lines."""
    return sorted(output) == sorted(expected)


def same(command, opens=20, stats=60, under=(), libraries=0, env=None, cwd=None, ranks=2):
    """Runs a command without the library and with it. Asserts that output and exit code are the same, that each rank was
    served at least so many calls, and that each directory of `under` is a root. Returns (output, report)."""
    plain, job, facts = both(command, ranks, env or {}, cwd)
    assert plain.returncode == 0, f"without fastimport: exit {plain.returncode}\n{plain.stdout}{plain.stderr}"
    assert job.returncode == 0, f"exit {job.returncode}\n{job.stdout}{job.stderr}"
    assert sorted(job.stdout.split("\n")) == sorted(plain.stdout.split("\n")), f"{job.stdout!r}, not {plain.stdout!r}"
    assert "fastimport: " not in job.stderr, job.stderr
    assert facts is not None and facts["ranks_reporting"] == ranks, f"report: {facts}"
    served = {kind: facts["calls"][kind]["served"] for kind in ("open", "stat", "dl")}
    for kind, least in (("open", opens), ("stat", stats), ("dl", libraries)):
        assert served[kind] >= least * ranks, f"{kind}: {served[kind]} served, expected {least} a rank at least: {facts}"
    roots = [root[1:] for root in facts["roots"]]
    for directory in under:
        assert str(directory) in roots, f"{directory} is none of the roots {roots}"
    print(f"    {served['open']} opens, {served['stat']} stats, {served['dl']} dlopens served")
    return job.stdout, facts


def both(command, ranks, env, cwd):
    """Runs a command without the library and with it. Returns (plain job, job, report)."""
    options = {"env": {**os.environ, "PYTHONHASHSEED": "0"}, "cwd": cwd}
    words = [MPIEXEC, "-n", ranks, "env", "-u", "PYTHONDONTWRITEBYTECODE"]
    with tempfile.TemporaryDirectory() as scratch:
        report = f"{scratch}/report"
        plain = run([*words, *(f"{k}={v}" for k, v in env.items()), *command], 90, **options)
        job = run([*words, *settings_with(env, FASTIMPORT_REPORT=report), *command], 90, **options)
        return plain, job, sharedjob.read_json(report)
