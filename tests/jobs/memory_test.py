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
from job import MPIEXEC, MPIEXEC_NODES, PYTHON, caches, read_job, run, settings_with, sharedjob

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
        self.usage_file = "memory.current" if is_v2 else "memory.usage_in_bytes"
        self.stat_prefix = "" if is_v2 else "total_"

    def limit(self, size):
        self.limit_file.write_text(f"{size}\n")


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


def test_in_a_namespace_of_groups(scratch):
    """A container sees its own group as the top of all."""
    make_library(scratch, "libbig.so", 150 * MB)
    with group(128 * MB) as made:
        words = command_in(made, "load('libbig.so')", scratch)
        mount = "mount -t cgroup2 none" if made.is_v2 else "mount -t cgroup -o memory none"
        place = V2 if made.is_v2 else V1
        inside = f'unshare --cgroup --mount sh -c \'umount -l {place} && {mount} {place} && exec "$@"\' sh "$@"'
        words[2] = words[2].replace('exec "$@"', f"exec {inside}")
        done = run([MPIEXEC, "-n", 2, "env", *settings_with({"FASTIMPORT_REPORT": f"{scratch}/report"}), *words], 60)
    assert done.returncode == 0 and done.stdout.count("1\n") == 2, f"{done.returncode} {done.stdout} {done.stderr}"
    report = sharedjob.read_json(f"{scratch}/report")
    assert report["active"] and report["files_not_kept"] == 1, report


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


def test_the_index_has_a_limit_too(scratch):
    """Hidden names do not follow from a listing: each is a record of its own."""
    with group(80 * MB) as made:
        done, report = job_in(made, """
            for n in range(60000):
                assert not os.path.exists(f"{os.path.dirname(__file__)}/.{n}-and-what-makes-a-long-name-of-it-without-any-other-purpose.py")
        """, scratch, ranks=1)
    assert done.returncode == 0 and done.stderr == "", f"{done.returncode} {done.stdout} {done.stderr}"
    assert 3 * MB <= report["index_bytes"] <= 5 * MB and report["fallbacks"]["index full"] > 10000, report


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


# --- after the start ----------------------------------------------------------------------------------------------------

QUIET = {"FASTIMPORT_IDLE_MS": "1000"}
# kept(): bytes of the files in this node's mirror. wait_for(): until something is so, for 20 s at most.
KEPT = """
import os, subprocess, sys, time
def kept():
    files = {}
    index = next(line.split()[-1] for line in open("/proc/self/maps") if "/fastimport-" in line and line.endswith("/index\\n"))
    for top, _, names in os.walk(os.path.dirname(index) + "/files"):
        for name in names:
            try:
                st = os.stat(f"{top}/{name}")
                files[st.st_ino] = st.st_blocks * 512
            except FileNotFoundError:
                pass
    return sum(files.values())
def wait_for(condition):
    for _ in range(400):
        if condition():
            return True
        time.sleep(0.05)
    return False
"""


def test_what_is_not_in_use_is_given_back(cache_place):
    """Of files that the ranks have read and closed nothing stays. They are read again: once for the job, and then they stay."""
    done = read_job(KEPT + """
import reader
from mpi4py import MPI
world = MPI.COMM_WORLD
start = reader.operations()
world.Barrier()
reader.read()
world.Barrier()
cold = reader.operations() - start
before = kept()
gone = wait_for(lambda: kept() < before - 20 * 4096)
world.Barrier()
first = reader.operations()
world.Barrier()
reader.read()
world.Barrier()
second = reader.operations()
time.sleep(3)
world.Barrier()
reader.read()
world.Barrier()
if world.rank == 0:
    print(gone, 20 <= second - first <= cold, reader.operations() - second, flush=True)
""", env={"FASTIMPORT_DIR": str(cache_place), **QUIET})
    assert done.returncode == 0, done.stderr
    assert done.stdout == "True True 0\n", done.stdout


def test_libraries_of_children_that_have_ended(scratch, cache_place):
    """A library leaves memory when the last child that has mapped it ends, not before; one that a rank has mapped stays. A later
    child has it again."""
    report = f"{scratch}/report"
    for name in ("librank.so", "libchild.so"):
        make_library(scratch, name, 4 * MB)
    app = pathlib.Path(scratch, "app.py")
    app.write_text(KEPT + OPEN + textwrap.dedent("""
        if len(sys.argv) > 1:
            load("libchild.so")
            print("child", mirrored("libchild.so"), flush=True)
            sys.stdin.read()
            sys.exit()
        def child():
            process = subprocess.Popen([sys.executable, __file__, "child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            assert process.stdout.readline() == "1\\n"
            print(process.stdout.readline().strip(), flush=True)
            return process
        load("librank.so")
        first = child()
        small = wait_for(lambda: kept() < 9 << 20)  # sources and byte code have gone
        time.sleep(1)
        print(small, kept() >= 8 << 20, mirrored("librank.so"), flush=True)
        first.communicate()
        print(wait_for(lambda: kept() < 5 << 20), flush=True)
        second = child()
        second.communicate()
        print(kept() >= 4 << 20, mirrored("librank.so"), flush=True)
    """))
    done = run([MPIEXEC, "-n", 1, "env", *settings_with({"FASTIMPORT_DIR": str(cache_place), "FASTIMPORT_REPORT": report, **QUIET}), PYTHON, app], 60)
    assert done.returncode == 0 and done.stderr == "", f"{done.stdout} {done.stderr}"
    assert done.stdout.splitlines() == ["1", "child True", "True True True", "True", "child True", "True True"], done.stdout
    report = sharedjob.read_json(report)
    assert report["files_given_back"] > 5 and report["bytes_given_back"] >= 4 * MB and not report["left_to_ld_so"], report


def test_all_nodes_give_back(scratch):
    """Each node gives back what the root does, but for what is in use there."""
    for name in ("libone.so", "libboth.so"):
        make_library(scratch, name, 8 * MB)
    report = f"{scratch}/report"
    app = pathlib.Path(scratch, "app.py")
    app.write_text(KEPT + OPEN + textwrap.dedent("""
        from mpi4py import MPI
        world = MPI.COMM_WORLD
        load("libboth.so")
        if world.rank == 1:
            load("libone.so")
        world.Barrier()
        stays = (16 if world.rank == 1 else 8) << 20
        gone = wait_for(lambda: kept() < stays + (6 << 20))  # what else is in use, mpi4py above all
        print(world.rank, gone, kept() >= stays, mirrored("libboth.so"), flush=True)
        world.Barrier()
        if world.rank == 0:
            load("libone.so")  # once more from the root's file system
            print(mirrored("libone.so"), flush=True)
        world.Barrier()
        import decimal
        print(decimal.Decimal(1), flush=True)
    """))
    done = run([MPIEXEC_NODES, "-N", 2, "-n", 2, *[f"--env={w}" for w in settings_with({"FASTIMPORT_REPORT": report, **QUIET})], "--",
                PYTHON, app], 60)
    assert done.returncode == 0 and done.stderr == "", f"{done.stdout} {done.stderr}"
    assert sorted(done.stdout.splitlines()) == ["0 True True True"] + ["1"] * 6 + ["1 True True True", "True"], done.stdout
    report = sharedjob.read_json(report)
    assert report["files_given_back"] > 10 and not report["left_to_ld_so"] and report["fallbacks"]["timeout"] == 0, report


def test_memory_that_becomes_scarce(scratch, cache_place):
    """A node does not wait for a quiet time if the program comes near the limit."""
    for n in range(4):
        make_library(scratch, f"lib{n}.so", 4 * MB)
    with group(512 * MB) as made:
        done, report = job_in(made, KEPT + f"""
from ctypes import CDLL
import _ctypes
for n in range(4):
    _ctypes.dlclose(CDLL(f"{{os.path.dirname(__file__)}}/lib{{n}}.so")._handle)
before = kept()
in_group = open("{made.directory}/{made.usage_file}").read()
stat = dict(line.split() for line in open("{made.directory}/memory.stat"))
used = int(in_group) - sum(int(stat["{made.stat_prefix}" + key]) for key in ("inactive_file", "active_file"))
with open("{made.limit_file}", "w") as f:
    f.write(str(used * 15 // 14))
print(before >= 16 << 20, wait_for(lambda: kept() < before - (16 << 20)), flush=True)
import decimal
print(decimal.Decimal(1), flush=True)
""", scratch, {"FASTIMPORT_DIR": str(cache_place)}, ranks=1)
    assert done.returncode == 0 and done.stdout == "True True\n1\n" and done.stderr == "", f"{done.returncode} {done.stdout} {done.stderr}"
    assert report["bytes_given_back"] >= 16 * MB, report
