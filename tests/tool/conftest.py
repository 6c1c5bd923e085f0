# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures for the tests of python-mpi-bcast: the tool on one node, and on emulated nodes.

TOOL_LONG=1 makes the tests of archives try more, which takes minutes.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import pytest
from support import ROOT, TESTED, call

sys.path.insert(0, str(ROOT / "tests/tool"))
import trees  # noqa: E402

PMB = TESTED / "python-mpi-bcast"
MPIEXEC_NODES = ROOT / "tests/tool/nodes"
LONG = os.environ.get("TOOL_LONG") == "1"
os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")  # MPI has leaks of its own
# file names are bytes, and may be no UTF-8
BYTES = {"errors": "surrogateescape"}


def told(done):
    """The tool's own lines on stderr: what a user is told."""
    return [line for line in done.stderr.splitlines() if line.startswith("python-mpi-bcast: ")]


def assert_refused(done, pattern):
    """The command failed, and said so in one line that matches the pattern."""
    assert done.returncode != 0
    assert len(told(done)) == 1, done.stderr
    assert re.search(pattern, done.stderr), done.stderr


@pytest.fixture(scope="session")
def program():
    """The path of the tool."""
    return PMB


# --- one node, without a launcher ---


class Tool:
    """The tool on one node, with a directory `work` of its own.

    program     its path
    long        whether to try more
    """

    program, long = PMB, LONG

    def __init__(self, work):
        self.work = work

    def run(self, *words, status=0, env=None):
        """Runs the tool and returns the CompletedProcess with its output as bytes. status: the exit status that it must have;
        None: any."""
        done = subprocess.run([PMB, *map(os.fsencode, words)], capture_output=True, env=env or {**os.environ, "LC_ALL": "C"},
                              stdin=subprocess.DEVNULL, timeout=250, check=False)
        if status is not None:
            assert done.returncode == status, (words, done.returncode, done.stdout, done.stderr)
        return done

    def fresh(self, *parts):
        """The path of something in `work` that does not exist."""
        path = os.path.join(self.work, *parts)
        if os.path.lexists(path):
            subprocess.run(["chmod", "-R", "u+rwx", path], check=False)
            shutil.rmtree(path)
        return path

    def fresh_directory(self, *parts):
        """The path of an empty directory in `work`."""
        os.makedirs(path := self.fresh(*parts))
        return path

    def refuses(self, archive, *patterns, options=()):
        """Staging the archive fails with one line, which matches, and leaves neither DIR nor anything beside it."""
        place = self.fresh_directory("refused")
        done = self.run("stage", archive, "--to", place + "/env", *options, status=None)
        lines = [line for line in done.stderr.decode("latin-1").splitlines() if line.startswith("python-mpi-bcast: ")]
        assert done.returncode == 1, (archive, done.returncode, done.stdout, done.stderr)
        assert len(lines) == 1, done.stderr
        for pattern in patterns:
            assert re.search(pattern, lines[0])
        assert os.listdir(place) == []


@pytest.fixture
def tool():
    """The tool on one node (Tool)."""
    work = tempfile.mkdtemp(prefix="tool-test-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
    yield Tool(work)
    subprocess.run(["chmod", "-R", "u+rwx", work], check=False)
    shutil.rmtree(work)


@pytest.fixture
def odd_tree(tool):
    """A tree with all that an archive must keep: odd names, modes, times, links."""
    return trees.make_odd_tree(tool.fresh("odd"))


# --- emulated nodes ---


@pytest.fixture(scope="module")
def area(private_mounts):
    """A directory on a tmpfs of its own, which every user can enter. All tests of a module use the same one."""
    path = tempfile.mkdtemp(prefix="tool-test-", dir="/tmp")
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8g,mode=755", "none", path], check=True)
        yield pathlib.Path(path)
    finally:
        call("umount", "-R", "-l", path)
        os.rmdir(path)


@pytest.fixture(scope="module")
def pack(area):
    """Packs a directory to an archive of this name in `area`; returns its path."""
    def run(top, name):
        subprocess.run([PMB, "pack", "-q", top, "-o", area / name], check=True, stdin=subprocess.DEVNULL)
        return area / name
    return run


class Nodes:
    """Four emulated nodes (tests/tool/nodes). What every rank sees as `local` is on node i the tmpfs node(i).

    area    where they and the archives are
    dir     DIR of the tests
    """

    def __init__(self, area):
        self.area, self.local = area, area / "local"
        self.dir = self.local / "env"
        self.local.mkdir(exist_ok=True)
        for i in range(4):
            self.node(i).mkdir(exist_ok=True)
            self.mount("-t", "tmpfs", "-o", "size=1g", "none", self.node(i))

    def node(self, i):
        return self.area / f"n{i}"

    @staticmethod
    def mount(*words):
        done = call("mount", *words)
        assert done.returncode == 0, done.stderr

    def remount(self, i, options):
        self.mount("-o", f"remount,{options}", self.node(i))

    def argv(self, n, *words):
        return [str(word) if not isinstance(word, bytes) else word for word in (MPIEXEC_NODES, self.area, n, PMB, *words)]

    def run(self, n, *words, **environment):
        """Runs the tool on n nodes and returns the CompletedProcess. environment: variables of tests/tool/nodes."""
        return subprocess.run(self.argv(n, *words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                              timeout=150, env={**os.environ, **environment}, **BYTES)

    def start(self, n, *words):
        """Starts the tool on n nodes and returns the Popen object."""
        return subprocess.Popen(self.argv(n, *words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env={**os.environ, "NODES_TIMEOUT": "60"}, **BYTES)

    def left(self, *numbers):
        """The names that are on these nodes; all, if none is given: DIR, partial copies."""
        return [f"n{i}/{name}" for i in numbers or range(4) for name in os.listdir(self.node(i))]

    def close(self):
        for i in range(4):
            while call("mountpoint", "-q", self.node(i)).returncode == 0:  # a test may have mounted over it
                assert call("umount", "-l", self.node(i)).returncode == 0
            self.node(i).rmdir()
        shutil.rmtree(self.local)


@pytest.fixture
def nodes(area):
    """Four empty emulated nodes (Nodes)."""
    made = Nodes(area)
    yield made
    made.close()


@pytest.fixture(name="assert_refused")
def assert_refused_fixture():
    return assert_refused


@pytest.fixture(name="told")
def told_fixture():
    return told
