# SPDX-License-Identifier: BSD-3-Clause
"""Memory is never the reason for a job's death: under the limit of a control group a job ends as a plain one does, because
what does not fit into the node cache stays on the file system.

The program opens a large library of which it touches one page. In a plain run the kernel can take its pages back; in a node
cache it cannot. Without the check of the room these jobs are killed.
"""

import contextlib
import os
import pathlib
import subprocess
import textwrap
import time

import pytest
from job import MPIEXEC, MPIEXEC_NODES, PYTHON, caches, run, settings_with, sharedjob

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "gcc", "environment")

MB = 1 << 20
V1, V2 = pathlib.Path("/sys/fs/cgroup/memory"), pathlib.Path("/sys/fs/cgroup")
NO_ROOM = "does not fit into the memory that the job may use"
OPEN = """
import ctypes, os, sys
def load(name):
    print(ctypes.CDLL(f"{os.path.dirname(__file__)}/{name}").one(), flush=True)
def mirrored(name):
    return any("/fastimport-" in line for line in open("/proc/self/maps") if line.endswith(f"/{name}\\n"))
"""


class Group:
    """A control group with a limit of memory, in version 1 or 2."""

    def __init__(self, directory, is_v2):
        self.directory, self.is_v2 = directory, is_v2
        self.limit_file = directory / ("memory.max" if is_v2 else "memory.limit_in_bytes")

    def limit(self, size):
        self.limit_file.write_text(f"{size}\n")

    def peak(self):
        return int((self.directory / ("memory.peak" if self.is_v2 else "memory.max_usage_in_bytes")).read_text())


@contextlib.contextmanager
def group(size):
    """A group with this limit, below that of this process's own. Skips the test where none can be made."""
    is_v2 = not (V1 / "memory.limit_in_bytes").exists()
    directory = (V2 if is_v2 else V1) / f"fastimport-test-{os.getpid()}"
    try:
        if is_v2:
            (V2 / "cgroup.subtree_control").write_text("+memory")
        directory.mkdir()
        made = Group(directory, is_v2)
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        made.limit(size)
        yield made
    finally:
        for _ in range(50):  # its last processes are on their way out
            with contextlib.suppress(OSError):
                directory.rmdir()
                break
            time.sleep(0.1)


def make_library(directory, name, size):
    """A library with so many bytes of constants."""
    source = pathlib.Path(directory, f"{name}.c")
    source.write_text(f'asm(".section .rodata\\n.globl blob\\nblob: .skip {size}, 7\\n.previous\\n");\nint one(void) {{ return 1; }}\n')
    subprocess.run(["gcc", "-shared", "-fPIC", source, "-o", f"{directory}/{name}"], check=True)
    source.unlink()


def command_in(made, text, directory, ranks="*"):
    """The words that run a script in the group; ranks: those that go into it."""
    app = pathlib.Path(directory, "app.py")
    app.write_text(OPEN + textwrap.dedent(text))
    return ["bash", "-c", f'case $PMI_RANK in {ranks}) echo $$ > {made.directory}/cgroup.procs;; esac; exec "$@"', "bash", PYTHON, app]


def job_in(made, text, directory, env=None, ranks=2):
    """A job in the group. Returns (CompletedProcess, report)."""
    report = f"{directory}/report"
    done = run([MPIEXEC, "-n", ranks, "env", *settings_with({"FASTIMPORT_REPORT": report, **(env or {})}),
                *command_in(made, text, directory)], 60)
    return done, sharedjob.read_json(report)


def test_a_library_that_does_not_fit(scratch, cache_place):
    make_library(scratch, "libbig.so", 150 * MB)
    make_library(scratch, "libsmall.so", MB // 2)
    text = "load('libbig.so'); load('libsmall.so'); print(mirrored('libbig.so'), mirrored('libsmall.so'), flush=True)"
    with group(128 * MB) as made:
        plain = run([MPIEXEC, "-n", 2, *command_in(made, text, scratch)], 60)
        done, report = job_in(made, text, scratch, {"FASTIMPORT_DIR": str(cache_place)})
        told, _ = job_in(made, text, scratch, {"FASTIMPORT_LOG": "info"})
    assert (plain.returncode, plain.stdout.count("1\n")) == (0, 4), f"{plain.stdout} {plain.stderr}"
    assert done.returncode == 0 and done.stderr == "" and done.stdout.count("1\n") == 4, f"{done.returncode} {done.stdout} {done.stderr}"
    assert done.stdout.count("False True") == 2, f"{done.stdout}"
    assert [(lib["path"], lib["why"]) for lib in report["left_to_ld_so"]] == [(f"{scratch}/libbig.so", NO_ROOM)], report["left_to_ld_so"]
    assert report["files_not_kept"] == 1 and report["bytes_not_kept"] > 150 * MB > 16 * MB > report["node_cache_bytes"], report
    assert not caches(cache_place), "a node cache is left"
    assert told.returncode == 0 and told.stderr.count("does not fit into the memory") == 1, told.stderr


def test_a_node_with_less_memory(scratch):
    """Node 0, with the root, serves what node 1 reads from the file system."""
    make_library(scratch, "libbig.so", 40 * MB)
    report = f"{scratch}/report"
    text = """
        load("libbig.so")
        print(os.environ["PMI_RANK"], mirrored("libbig.so"), mirrored(os.path.basename(sys.modules["_ctypes"].__file__)), flush=True)
    """
    with group(128 * MB) as made:
        words = command_in(made, text, scratch, ranks="1")
        done = run([MPIEXEC_NODES, "-N", 2, "-n", 2, *[f"--env={w}" for w in settings_with({"FASTIMPORT_REPORT": report})], "--", *words], 60)
    report = sharedjob.read_json(report)
    lines = sorted(done.stdout.splitlines())
    assert done.returncode == 0 and done.stderr == "", f"{done.returncode} {done.stdout} {done.stderr}"
    assert lines == ["0 True True", "1", "1", "1 False True"], lines
    assert [(lib["why"], lib["nodes"]) for lib in report["left_to_ld_so"]] == [(NO_ROOM, 1)], report["left_to_ld_so"]
    assert report["files_not_kept"] == 1 and report["fallbacks"]["timeout"] == 0, report


def test_a_limit_that_is_lowered(scratch):
    """Limits are read again: a second library of the same size is not kept any more."""
    for name in ("libfirst.so", "libsecond.so"):
        make_library(scratch, name, 20 * MB)
    with group(512 * MB) as made:
        done, report = job_in(made, f"""
            load("libfirst.so")
            with open("{made.limit_file}", "w") as f:
                f.write("{150 * MB}")
            load("libsecond.so")
            print(mirrored("libfirst.so"), mirrored("libsecond.so"), flush=True)
        """, scratch, ranks=1)
    assert done.returncode == 0 and done.stdout == "1\n1\nTrue False\n" and done.stderr == "", f"{done.stdout} {done.stderr}"
    assert report["files_not_kept"] == 1, report


def test_children_fill_the_cache(scratch):
    """What children ask for is kept by their node's leader, under the same limits."""
    for n in range(6):
        make_library(scratch, f"lib{n}.so", 9 * MB)
    with group(150 * MB) as made:
        done, report = job_in(made, """
            import subprocess
            if len(sys.argv) == 1:
                for n in range(6):
                    subprocess.run([sys.executable, __file__, f"lib{n}.so"], check=True)
            else:
                load(sys.argv[1])
        """, scratch, ranks=1)
    assert done.returncode == 0 and done.stdout == "1\n" * 6 and done.stderr == "", f"{done.stdout} {done.stderr}"
    assert report["files_not_kept"] >= 5 and report["node_cache_bytes"] < 150 * MB / 8, report
