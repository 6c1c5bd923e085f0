# SPDX-License-Identifier: BSD-3-Clause
"""What a rank changes below a served directory all ranks see, on all nodes: at the latest when they hear of it by MPI."""

import os
import pathlib
import tempfile

import pytest
import sharedjob
from job import LIBRARY, PYTHON, nodes_job, script

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")

# With LOOK_FIRST the ranks look at a name; one of them changes it, and after a barrier all look (again).
CHANGES = """
    import os, shutil, sys, time, traceback
    from mpi4py import MPI
    comm = MPI.COMM_WORLD
    top = os.environ["FASTIMPORT_PATH"]

    def abort(*problem):
        traceback.print_exception(*problem)
        comm.Abort(1)
    sys.excepthook = abort

    look_first = "LOOK_FIRST" in os.environ

    def look(name):
        path = f"{top}/{name}"
        if os.path.isdir(path):
            return sorted(os.listdir(path))
        try:
            with open(path) as f:
                return f.read()
        except OSError:
            return os.path.exists(path)

    def write(name, text):
        with open(f"{top}/{name}", "w") as f:
            f.write(text)

    def after(change, names, who):
        before = [look(name) for name in names] if look_first else None
        comm.barrier()
        if comm.rank == who:
            change()
        comm.barrier()
        seen = comm.allgather([look(name) for name in names])
        assert all(s == seen[0] for s in seen), (names, seen)
        assert seen[0] != before, f"nothing has changed: {before}"
        return seen[0]
"""


# Where the directory is that the job changes: on a local disk of all ranks, or on the emulated shared file system, with a client
# of each node that remembers names and attributes as NFS does by default (acregmin, acdirmin), or not at all. A client that
# remembers shows a change to those only who have not looked before, without fastimport, too.
CLIENTS = {
    "local": None,
    "nfs": ["--attr-timeout=3", "--entry-timeout=30", "--negative-timeout=30"],
    "coherent": ["--attr-timeout=0", "--entry-timeout=0", "--negative-timeout=0"],
}


def changes_job(text, files, ranks=4, nodes=2, said=(), client="local", **env):
    """A job that changes a served directory with these files. Prints "right", and says what contains the lines `said`."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        served = pathlib.Path(scratch, "served")
        for name, content in files.items():
            path = served / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        env = {"FASTIMPORT_PATH": served, "FASTIMPORT_PLAN": "off", **({} if client == "nfs" else {"LOOK_FIRST": "1"}), **env}
        if client == "local":
            done = nodes_job(CHANGES + text, ranks, nodes, env, timeout=240)
            code, output, errors = done.returncode, done.stdout, done.stderr
        else:
            done = sharedjob.run([PYTHON, script(scratch, CHANGES + text)], served, ranks, nodes, CLIENTS[client],
                                 {"FASTIMPORT_FS": "all", **env}, LIBRARY, timeout=120)
            code, output, errors = done.code, done.output, done.errors
        assert (code, output) == (0, "right\n"), errors
        assert all(errors.count(line) == 1 for line in said) and errors.count("\n") == len(said), errors


# Rank 3 looks at the names through the root, whose client remembers them.
@pytest.mark.parametrize("who, client", [(0, "local"), (3, "local"), (0, "nfs"), (0, "coherent"), (3, "coherent")])
@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_each_kind_of_change(nodes, who, client):
    changes_job(f"""
    who = {who}
    assert after(lambda: write("made/new", "x"), ["made/new", "made"], who) == ["x", ["new", "old"]]
    assert after(lambda: write("written/old", "y"), ["written/old"], who) == ["y"]
    assert after(lambda: os.unlink(f"{{top}}/gone/old"), ["gone/old", "gone"], who) == [False, []]
    assert after(lambda: os.mkdir(f"{{top}}/directory/sub"), ["directory/sub"], who) == [[]]
    assert after(lambda: shutil.rmtree(f"{{top}}/tree"), ["tree/a/b/c", "tree"], who) == [False, False]
    assert after(lambda: os.rename(f"{{top}}/from", f"{{top}}/to"), ["from/old", "to/old"], who) == [False, "o"]
    assert after(lambda: os.symlink("old", f"{{top}}/links/new"), ["links/new"], who) == ["o"]
    assert after(lambda: os.link(f"{{top}}/hard/old", f"{{top}}/hard/new"), ["hard/new"], who) == ["o"]
    assert after(lambda: os.truncate(f"{{top}}/short/old", 0), ["short/old"], who) == [""]
    if comm.rank == 0:
        print("right")
    """, {name: "o" for name in ("made/old", "written/old", "gone/old", "directory/old", "tree/a/b/c", "from/old", "links/old",
                                 "hard/old", "short/old")}, nodes=nodes, client=client)


def test_a_module_that_rank_0_generates():
    changes_job("""
    import sys, importlib
    sys.path.insert(0, top)
    try:
        import generated
    except ImportError:
        pass
    comm.barrier()
    if comm.rank == 0:
        write("generated.py", "answer = 42")
    comm.barrier()
    importlib.invalidate_caches()
    import generated
    assert comm.allreduce(generated.answer) == 42 * comm.size
    if comm.rank == 0:
        print("right")
    """, {"other.py": ""})


def test_all_ranks_write_at_once():
    """Each into a directory of its own and into a common one, many times."""
    changes_job("""
    for i in range(20):
        os.mkdir(f"{top}/rank{comm.rank}.{i}")
        write(f"rank{comm.rank}.{i}/f", str(i))
        write(f"common/{comm.rank}.{i}", str(i))
        comm.barrier()
        for r in range(comm.size):
            assert look(f"rank{r}.{i}/f") == look(f"common/{r}.{i}") == str(i), (r, i)
        comm.barrier()
    if comm.rank == 0:
        print("right")
    """, {"common/old": ""}, ranks=6, nodes=3)


def test_a_change_after_a_quiet_time():
    """The service wakes up seldom then."""
    changes_job("""
    look("late"), look("old")
    comm.barrier()
    time.sleep(1)
    assert after(lambda: write("late", "x"), ["late"], 3) == ["x"]
    time.sleep(1)
    assert after(lambda: write("old", "y"), ["old"], 0) == ["y"]
    if comm.rank == 0:
        print("right")
    """, {"old": "o"}, FASTIMPORT_IDLE_MS="100")


def test_after_finalize():
    """The ranks hear of each other by a file then."""
    changes_job("""
    look("old"), look("new")
    comm.barrier()
    rank, news = comm.rank, os.path.dirname(top) + "/news"
    MPI.Finalize()
    if rank == 3:
        time.sleep(0.2)
        write("old", "y")
        write("new", "x")
        open(news, "w").close()
    while not os.path.exists(news):
        time.sleep(0.01)
    assert (look("old"), look("new")) == ("y", "x"), (look("old"), look("new"))
    if rank == 0:
        print("right")
    """, {"old": "o"})


@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_byte_code_of_a_child(nodes):
    """What a rank's Python writes for itself while it imports, the others need not see; what a child compiles they do."""
    changes_job("""
    import subprocess, sys, glob
    sys.path.insert(0, top)
    assert glob.glob(f"{top}/package/**/*.pyc", recursive=True) == []
    comm.barrier()
    if comm.rank == 0:
        subprocess.run([sys.executable, "-m", "compileall", "-q", f"{top}/package"], check=True)
    comm.barrier()
    assert len(glob.glob(f"{top}/package/**/*.pyc", recursive=True)) == 2
    import package.module
    assert os.path.exists(package.module.__cached__)
    comm.barrier()
    if comm.rank == 0:
        print("right")
    """, {"package/__init__.py": "", "package/module.py": ""}, nodes=nodes)


def test_a_leader_that_does_not_answer():
    """Its node notices the silence before the change returns. The ranks that go on see the change, and one line of each node says what has happened."""
    changes_job("""
    import pathlib, signal

    def has_stopped(pid):
        states = [task.joinpath("stat").read_text().rpartition(")")[2].split()[0] for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        return all(state == "T" for state in states)

    look("file"), look("new"), look("other")
    comm.barrier()
    pids = comm.allgather(os.getpid())
    if comm.rank == 0:
        os.kill(pids[2], signal.SIGSTOP)  # the leader of the second node
        while not has_stopped(pids[2]):
            time.sleep(0.01)
        write("file", "second")
        write("new", "x")
        comm.send(None, dest=3)
        comm.recv(source=3)
        started = time.monotonic()
        os.mkdir(f"{top}/directory")
        write("directory/f", "y")
        assert time.monotonic() - started < 1, "each change waits"
        os.kill(pids[2], signal.SIGCONT)
    elif comm.rank == 3:
        comm.recv(source=0)
        assert (look("file"), look("new")) == ("second", "x"), (look("file"), look("new"))
        comm.send(None, dest=0)
    comm.barrier()
    assert look("directory/f") == "y"
    if comm.rank == 0:
        print("right")
    """, {"file": "first", "other": "o"}, said=["was not announced to all nodes in time", "no sign of life"],
       FASTIMPORT_WAIT_MS="1000")


def test_create_or_use_what_is_there():
    """A rank that was told that a file is missing and then that it exists (EEXIST) is not told again that it is missing."""
    changes_job("""
    for i in range(10):
        path = f"{top}/lock/{i}"
        for attempt in range(1000):
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                break
            except FileExistsError:
                if os.path.exists(path):
                    break
        else:
            raise AssertionError(f"{path} is there and is not there")
    comm.barrier()
    if comm.rank == 0:
        print("right")
    """, {"lock/old": ""})


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("nodes", [1, 2, 4])
def test_what_programs_do(nodes, client):
    """Directories that all ranks make, a file that is replaced, byte code and files of children, a database that one rank writes."""
    changes_job("""
    import sqlite3, subprocess, sys
    last = comm.size - 1

    if look_first:
        os.path.exists(f"{top}/a/b")
    comm.barrier()
    os.makedirs(f"{top}/a/b/{comm.rank % 2}", exist_ok=True)
    comm.barrier()
    assert sorted(os.listdir(f"{top}/a/b")) == ["0", "1"]

    def replace():
        write("new", "second")
        os.replace(f"{top}/new", f"{top}/file")
    assert after(replace, ["file"], last) == ["second"]

    def child(code):
        return lambda: subprocess.run([sys.executable, "-c", code], check=True)
    assert after(child(f"open('{top}/of_a_child', 'w').write('x')"), ["of_a_child"], last) == ["x"]
    assert after(child(f"import shutil; shutil.copytree('{top}/a', '{top}/copy')"), ["copy/b"], 0) == [["0", "1"]]

    def database():
        with sqlite3.connect(f"{top}/data.sqlite") as db:
            db.execute("create table t (n)")
            db.executemany("insert into t values (?)", [(n,) for n in range(1000)])
    after(database, ["."], last)
    with sqlite3.connect(f"file:{top}/data.sqlite?mode=ro", uri=True) as db:
        total = db.execute("select sum(n) from t").fetchone()[0]
    assert comm.allreduce(total) == 499500 * comm.size

    sys.path.insert(0, top)
    import module
    assert comm.allreduce(module.value) == comm.size
    comm.barrier()
    if comm.rank == 0:
        child(f"import sys; sys.path.insert(0, '{top}'); import module")()
        write("module.py", "value = 20  # longer")
    comm.barrier()
    import importlib
    if look_first:
        importlib.reload(module)
        assert comm.allreduce(module.value) == 20 * comm.size
    if comm.rank == 0:
        print("right")
    """, {"file": "first", "module.py": "value = 1"}, nodes=nodes, client=client)


def test_all_write_and_read_beside_each_other():
    """In each round one rank writes, replaces, removes or makes something while the others read other names; then all look at it.
    For 5 seconds, or STRESS_SECONDS, on STRESS_NODES nodes with two ranks each."""
    nodes = int(os.environ.get("STRESS_NODES", 3))
    changes_job("""
    import random
    end, n, rng = time.time() + float(os.environ["SECONDS_TO_RUN"]), 0, random.Random(comm.rank)

    def change(n):
        directory, path = f"{top}/d{n % 37}", f"{top}/d{n % 37}/f{n % 5}"
        os.makedirs(directory, exist_ok=True)
        if n % 4 == 0:
            write(f"d{n % 37}/f{n % 5}", str(n))
            return path, str(n)
        if n % 4 == 1:
            write(f"d{n % 37}/new", str(n))
            os.replace(f"{directory}/new", path)
            return path, str(n)
        if n % 4 == 2:
            if os.path.exists(path):
                os.unlink(path)
            return path, None
        os.mkdir(f"{top}/x{n}")
        write(f"x{n}/y", str(n))
        return f"{top}/x{n}/y", str(n)

    going = True
    while going:
        who = n % comm.size
        told = (*change(n), time.time() < end) if comm.rank == who else None
        for _ in range(3):
            look(f"d{rng.randrange(37)}/f{rng.randrange(5)}")
        path, text, going = comm.bcast(told, root=who)
        try:
            with open(path) as f:
                got = f.read()
        except FileNotFoundError:
            got = None
        assert got == text and os.path.exists(path) == (text is not None), (comm.rank, n, path, text, got)
        assert (os.path.basename(path) in os.listdir(os.path.dirname(path))) == (text is not None), (comm.rank, n, path)
        comm.barrier()
        n += 1
    assert n > 20, n
    if comm.rank == 0:
        print("right")
    """, {"old": ""}, ranks=2 * nodes, nodes=nodes, SECONDS_TO_RUN=os.environ.get("STRESS_SECONDS", "5"))
