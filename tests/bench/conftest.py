# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures for the tests of bench/: a mounted shared file system, jobs on emulated nodes, the Python environment."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from support import BUILD, ROOT, call

sys.path[:0] = [str(ROOT / "bench" / folder) for folder in ("", "emulator/nodes", "startup", "trace", "model/simulate")]
import sharedjob  # noqa: E402

SHAREDFS = BUILD / "sharedfs"
START_SECONDS = 15  # for a job to start, and for its processes to end


@pytest.fixture
def sharedfs():
    """Runs sharedfs with these arguments; returns the CompletedProcess."""
    return lambda *words, **options: call(SHAREDFS, *words, **options)


class SharedFs:
    """A source directory and a state file in `scratch`. Mounts end with the test.

    forever     options of a client whose caches never time out
    """

    forever = sharedjob.FOREVER

    def __init__(self, scratch):
        self.scratch, self.source, self.state = scratch, scratch / "source", scratch / "state"
        self.source.mkdir()
        self.mountpoints = []

    def mount(self, *options, node=0):
        """Mounts the source as the client of a node; returns the mount point."""
        mountpoint = self.scratch / f"mnt{node}"
        mountpoint.mkdir()
        return self.mount_at(mountpoint, "--node", node, *options)

    def mount_at(self, mountpoint, *options):
        done = call(SHAREDFS, "mount", self.source, mountpoint, "--state", self.state, "--until", os.getpid(), *options)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        self.mountpoints.append(mountpoint)
        return mountpoint

    def unmount_all(self):
        for mountpoint in filter(os.path.ismount, self.mountpoints):
            call(SHAREDFS, "umount", mountpoint)

    def stats(self):
        """The counters of the server (`sharedfs stats`), as a dict."""
        done = call(SHAREDFS, "stats", self.state)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def ops(self):
        """How often each operation was counted so far; without those that were not."""
        return {op: n for op, n in self.stats()["ops"].items() if n}

    def reset(self):
        assert call(SHAREDFS, "reset", self.state).returncode == 0


@pytest.fixture
def shared(scratch, private_mounts):
    """A shared file system (SharedFs)."""
    made = SharedFs(scratch)
    yield made
    made.unmount_all()


def processes_with(token):
    """The pids of the processes whose command line or environment holds the token, except this one."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if token.encode() in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass  # the process has ended
    return found


class Nodes:
    """Jobs on emulated nodes that share `shared`. Their processes are found by a token in the environment."""

    def __init__(self, shared, name):
        self.shared = shared
        self.token = f"TOKEN{os.getpid()}-{name}"
        self.env = {**os.environ, "JOB_TOKEN": self.token}

    def argv(self, nodes, ranks, *command, options=(), share=True):
        """The command line of a job. share: with the shared file system."""
        shared = ["--share-dir", self.shared.source, "--state", self.shared.state, *self.shared.forever] if share else []
        return [str(word) for word in [sharedjob.MPIEXEC_NODES, "-N", nodes, "-n", ranks, *shared, *options, "--", *command]]

    def job(self, *words, **options):
        """Runs a job to its end (arguments of argv()); returns the CompletedProcess."""
        return call(*self.argv(*words, **options), env=self.env)

    def start(self, *words, opens):
        """Starts a job and waits until its ranks have made so many open() calls; returns the Popen object."""
        quiet = subprocess.DEVNULL
        mpiexec = subprocess.Popen(self.argv(*words), stdin=quiet, stdout=quiet, stderr=quiet, env=self.env, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while not self.shared.state.exists() or self.shared.ops().get("open", 0) < opens:
            assert time.monotonic() < deadline, "the job does not start"
            time.sleep(0.05)
        return mpiexec

    def processes(self, program=None):
        """The pids of the jobs' processes; with `program`, of those that run it."""
        pids = processes_with(self.token)
        return [pid for pid in pids if program in (None, name_of(pid))]

    def assert_all_end(self, program=None):
        """Waits until no process of the jobs is left."""
        deadline = time.monotonic() + START_SECONDS
        while (left := self.processes(program)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left == []

    def kill(self):
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)


def name_of(pid):
    """The name of a process; None if it has ended."""
    try:
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return None


@pytest.fixture
def nodes(shared, request):
    """Jobs on emulated nodes (Nodes). The shared directory holds one file, `file`."""
    (shared.source / "file").write_text("shared")
    made = Nodes(shared, request.node.name)
    yield made
    made.kill()


@pytest.fixture
def mpiexec_nodes():
    """Runs mpiexec-nodes with these arguments; returns the CompletedProcess."""
    return lambda *words: call(sharedjob.MPIEXEC_NODES, *words)


@pytest.fixture
def assert_refused():
    """Asserts that a command with wrong options ends with code 2 and a message that holds `message`, without a traceback."""
    def check(command, message):
        done = call(*command)
        assert done.returncode == 2, done.stdout + done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    return check
