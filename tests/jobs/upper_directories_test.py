# SPDX-License-Identifier: BSD-3-Clause
"""stat, lstat and readlink of the directories above the served ones: the library asks the kernel now and then, and says what the kernel
says."""

import pathlib
import re

import pytest
from job import PYTHON, local_job, nodes_job, script

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")

# Compares the wrappers with what the kernel says by raw calls and descriptors.
LOOK = """
import ctypes, os, stat, time
libc = ctypes.CDLL(None, use_errno=True)
top = {top!r}
names = [top, f"{{top}}/a", f"{{top}}/a/b", f"{{top}}/link", f"{{top}}/link/b", "/"]
fields = [f for f in dir(os.stat_result) if f.startswith("st_") and f != "st_atime_ns" and f != "st_atime"]

def said(call, name):
    try:
        r = call(name)
    except OSError as e:
        return e.errno
    return r if isinstance(r, str) else tuple(getattr(r, f) for f in fields)

def by_fd(flags):
    def call(name):
        fd = os.open(name, os.O_PATH | flags)
        try:
            return os.stat(f"/proc/self/fd/{{fd}}") if not flags else os.fstat(fd)
        finally:
            os.close(fd)
    return call

def kernel_readlink(name):
    buf = ctypes.create_string_buffer(4096)
    n = libc.syscall(267, -100, os.fsencode(name), buf, 4096)  # readlinkat
    if n < 0:
        raise OSError(ctypes.get_errno(), "readlink")
    return buf.raw[:n].decode()

calls = [(os.stat, by_fd(0)), (os.lstat, by_fd(os.O_NOFOLLOW)), (os.readlink, kernel_readlink)]

def agree(when):
    for name in names:
        for ours, kernel in calls:
            for _ in range(2):
                a, b = said(ours, name), said(kernel, name)
                if a != b:
                    print("DIFFERS", when, ours.__name__, name, a, b, flush=True)
                    return
"""


class Place:
    def __init__(self, directory):
        self.top = pathlib.Path(directory).resolve() / "top"
        (self.top / "a/b/env").mkdir(parents=True)
        for n in range(1000):
            (self.top / f"a/b/env/m{n}.py").write_text("")
        (self.top / "link").symlink_to("a")
        self.settings = {"FASTIMPORT_PATH": f"{self.top}/a/b/env:{self.top}/link/b/env"}
        self.look = LOOK.format(top=str(self.top))
        (pathlib.Path(directory) / "elsewhere").mkdir()
        self.script = script(pathlib.Path(directory) / "elsewhere", "")

    def job(self, text, ranks=2, **kw):
        self.script.write_text(self.look + text)
        done = local_job([PYTHON, self.script], ranks, self.settings, **kw)
        assert done.returncode == 0 and "DIFFERS" not in done.stdout and "done" in done.stdout, f"{done.stdout}{done.stderr}"
        return done


@pytest.fixture
def place(scratch):
    """A Place."""
    return Place(scratch)


@pytest.mark.needs("strace")
def test_realpath_asks_the_kernel_seldom(place):
    log = place.top.parent / "strace"
    text = """
import time
begin = time.monotonic()
for n in range(1000):
    assert os.path.realpath(f"{top}/link/b/env/m{n}.py") == f"{top}/a/b/env/m{n}.py"
print("done", time.monotonic() - begin)
"""
    done = place.job(text, 1, wrap=["strace", "-f", "-e", "trace=%stat,readlink,readlinkat", "-o", str(log)])
    seconds = float(done.stdout.split()[1])
    above = re.findall(rf'"({re.escape(str(place.top))}(?:|/a|/a/b|/link))"', log.read_text())
    bound = 10 * 4 * (seconds + 1)  # one look a second, and one after the interpreter has written elsewhere
    assert 0 < len(above) < bound < 4000, f"{len(above)} looks in {seconds} s"


CHANGES = """
changes = [
    lambda: os.mkdir(f"{top}/new"), lambda: os.rmdir(f"{top}/new"),
    lambda: open(f"{top}/a/file", "w").close(), lambda: os.rename(f"{top}/a/file", f"{top}/a/b/file"), lambda: os.unlink(f"{top}/a/b/file"),
    lambda: os.chmod(f"{top}/a", 0o700), lambda: os.chmod(f"{top}/a", 0o755), lambda: os.utime(f"{top}/a/b", (1, 2)),
    lambda: os.symlink("a", f"{top}/l2"), lambda: os.replace(f"{top}/l2", f"{top}/link"), lambda: os.link(f"{top}/link", f"{top}/l3"),
    lambda: os.unlink(f"{top}/l3"), lambda: os.mkdir(f"{top}/a/b/c"), lambda: os.rmdir(f"{top}/a/b/c"),
    lambda: os.unlink(f"{top}/link"), lambda: os.symlink("./a", f"{top}/link"), lambda: os.chown(f"{top}/a", 1, 1), lambda: os.chown(f"{top}/a", 0, 0),
    lambda: os.rename(f"{top}/a/b", f"{top}/a/moved"), lambda: os.rename(f"{top}/a/moved", f"{top}/a/b"),
    lambda: os.utime(os.open(f"{top}/a", os.O_RDONLY), (3, 4)), lambda: os.chmod(os.open(f"{top}/a", os.O_RDONLY), 0o711),
    lambda: (os.chdir(f"{top}/a"), os.mkdir("relative")), lambda: os.rmdir(f"{top}/a/../a/relative"),
]
"""


def test_what_ranks_change_is_seen(place):
    """The rank that changes it sees it, and so does the other rank of its node after a barrier."""
    place.job(CHANGES + """
from mpi4py import MPI
comm = MPI.COMM_WORLD
agree("at first")
for n, change in enumerate(changes):
    comm.Barrier()
    if comm.rank == n % 2:
        change()
    comm.Barrier()
    agree(n)
comm.Barrier()
print("done")
""")


def test_what_children_change_is_seen(place):
    place.job(CHANGES + """
agree("at first")
for n, change in enumerate(changes[:-2]):
    child = os.fork()
    if child == 0:
        change()
        os._exit(0)
    os.waitpid(child, 0)
    agree(n)
import subprocess
for word in "mkdir", "rmdir":
    subprocess.run([word, f"{top}/a/by-another"], check=True)
    agree(word)
print("done")
""", 1)


def test_what_others_change_is_seen_a_second_later(place):
    done = place.job("""
import subprocess
agree("at first")
subprocess.run(["env", "-u", "LD_PRELOAD", "mkdir", f"{top}/a/by-another"], check=True)
time.sleep(1.1)
agree("later")
print("done", os.lstat(f"{top}/a").st_nlink)
""", 1)
    assert "done 4" in done.stdout, done.stdout


def test_what_one_node_makes_beside_the_script_is_there_on_another():
    """The other node has listed the script's directory before that."""
    done = nodes_job("""
    import importlib.util, os
    from mpi4py import MPI
    here = os.path.dirname(__file__)
    assert importlib.util.find_spec("no_such_module") is None  # whose directory is listed for that
    MPI.COMM_WORLD.Barrier()
    if MPI.COMM_WORLD.rank == 0:
        os.makedirs(f"{here}/results/part")
    MPI.COMM_WORLD.Barrier()
    assert os.listdir(f"{here}/results") == ["part"] and os.listdir(f"{here}/results/part") == []
    assert [e.name for e in os.scandir(f"{here}/results")] == ["part"] and os.path.isdir(f"{here}/results")
    print("done")
    """, 2, 2)
    assert done.returncode == 0 and done.stdout.count("done") == 2, f"{done.stdout}{done.stderr}"
