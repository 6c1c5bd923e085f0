# SPDX-License-Identifier: BSD-3-Clause
"""Ranks and their descendants in other mount namespaces and behind chroot, where the same name is another file, see what a plain run
shows them."""

import contextlib
import os
import pathlib
import subprocess
import tempfile
import textwrap
import time

import pytest
from job import (LIBRARY, MPIEXEC, PYTHON, assert_done, cache_directory, caches, local_job, script,
                 sharedjob)

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")


class Place:
    """A served directory with a module, another directory that can be mounted over it, and a root directory that has that one in its place."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.app = self.directory / "app"  # the script's directory is served, too: nothing is mounted below it
        self.app.mkdir()
        self.served, self.other = self.directory / "served", self.directory / "other"
        self.jail = self.directory / "jail"
        self.in_jail = pathlib.Path(f"{self.jail}{self.served}")
        for place, word in (self.served, "old"), (self.other, "new"), (self.in_jail, "new"):
            place.mkdir(parents=True)
            (place / "m.py").write_text(f"value = '{word}'\n")
            (place / f"{word}.py").write_text("")
        self.namespace = None  # in which the other is mounted over the served one
        self.settings = {"PYTHONPATH": str(self.served), "PYTHONDONTWRITEBYTECODE": "1"}

    def look(self, name):
        """The code of a function that returns which directory is there, "old" or "new"; "mixed ...": parts of both."""
        return textwrap.dedent(f"""
            import os
            def {name}():
                word = open("{self.served}/m.py").read().split("'")[1]
                names = {{e.name for e in os.scandir("{self.served}")}}
                there = {{n for n in ("old", "new") if os.path.exists(f"{self.served}/{{n}}.py")}}
                sizes = os.stat("{self.served}/m.py").st_ino == os.fstat(os.open("{self.served}/m.py", 0)).st_ino
                return word if names == {{"m.py", f"{{word}}.py"}} and there == {{word}} and sizes else f"mixed {{word}} {{names}} {{there}} {{sizes}}"
            """)


# For scripts: is the open file one of the node cache? By the system call readlink (number 89 on x86-64), since the library answers
# with the original's name.
IS_SERVED = """
import ctypes
def is_served(f):
    name = ctypes.create_string_buffer(4096)
    assert ctypes.CDLL(None).syscall(89, b"/proc/self/fd/%d" % f.fileno(), name, 4095) > 0
    return b"fastimport" in name.value
"""


@pytest.fixture
def place(scratch):
    """A Place."""
    return Place(scratch)


def bound(place, command):
    """Words that run the command where the other directory is mounted over the served one."""
    return ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', str(place.other), str(place.served), *map(str, command)]


# --- descendants -------------------------------------------------------------------------------------------------


def children_see(place, word, start, wrap=()):
    """Children that these words start see the directory that `word` names, and load no MPI. The rank sees the old one."""
    child = place.look("look") + "t = open('/proc/self/maps').read(); print(look(), 'mpich' in t, '/index' in t)"
    with cache_directory() as caches_here:
        text = place.look("look") + textwrap.dedent(f"""
            import subprocess, sys
            assert look() == "old", look()
            done = subprocess.run([*{start!r}, sys.executable, "-c", {child!r}], capture_output=True, text=True)
            assert (done.stdout, done.stderr) == ("{word} False {word == "old"}\\n", ""), done
            assert look() == "old", look()
            os.write(1, b"good\\n")
            """)
        done = local_job([PYTHON, script(place.app, text)], env={**place.settings, "FASTIMPORT_DIR": caches_here}, wrap=wrap)
        assert_done(done, "good\n" * 2)
        assert not caches(caches_here), f"left: {caches(caches_here)}"


def test_a_child_in_another_namespace(place):
    children_see(place, "new", bound(place, []))


def test_a_child_with_the_same_view(place):
    """It is served: else the other tests would show nothing."""
    children_see(place, "old", ["sh", "-c", 'exec "$0" "$@"'])


def test_a_child_in_another_root_of_the_same_file_system(place):
    """The root directory is mounted twice in the same namespace. Only in the second one something else is mounted over the served directory."""
    root = place.directory / "root"
    root.mkdir()
    mounts = f"mount --rbind / {root} && mount --bind {place.other} {root}{place.served} && exec \"$0\" \"$@\""
    children_see(place, "new", ["chroot", str(root)], ["unshare", "-m", "sh", "-c", mounts])


def test_a_rank_becomes_another_program_elsewhere(place, cache_place):
    """The new program is not served. Its rank takes leave of the launcher and of the others before exec, so that all end."""
    text = place.look("look") + textwrap.dedent(f"""
        import os, sys
        assert look() == ("old" if len(sys.argv) == 1 else "new"), look()
        if len(sys.argv) == 1 and os.environ["PMI_RANK"] == "1":
            words = {bound(place, [])!r} + [sys.executable, sys.argv[0], "again"]
            os.execvp(words[0], words)
        os.write(1, b"good\\n")
        """)
    done = local_job([PYTHON, script(place.app, text)],
                     env={**place.settings, "FASTIMPORT_DIR": cache_place, "FASTIMPORT_WAIT_MS": 300}, timeout=30)
    assert_done(done, "good\n" * 2)
    assert not caches(cache_place), f"left: {caches(cache_place)}"


# --- the process itself ------------------------------------------------------------------------------------------

# Ways to see other files.
WAYS = {
    "chroot": "os.chroot({jail!r}), os.chdir('/')",
    "unshare": "check(libc.unshare(0x20000)), check(libc.mount(b'none', b'/', None, 0x44000, None)), "
               "check(libc.mount({other!r}.encode(), {served!r}.encode(), None, 0x1000, None))",
    "setns": "check(libc.setns(os.open({namespace!r}, 0), 0))",
}
LIBC = """
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
def check(result):
    assert result == 0, os.strerror(ctypes.get_errno())
"""


def way(place, name):
    return WAYS[name].format(jail=str(place.jail), other=str(place.other), served=str(place.served), namespace=place.namespace)


@contextlib.contextmanager
def namespace_of(command):
    """The name of a mount namespace that a process has while it runs this."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as process:
        try:
            while pathlib.Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
                time.sleep(0.01)
            yield f"/proc/{process.pid}/ns/mnt"
        finally:
            process.kill()


def test_a_forked_child_changes_its_view(place):
    """Files and directories that it has open stay what they were."""
    with namespace_of(bound(place, ["sleep", "60"])) as place.namespace:
        for name in WAYS:
            a_forked_child_changes_its_view(place, name)


def a_forked_child_changes_its_view(place, name):
    text = LIBC + place.look("look") + textwrap.dedent(f"""
        assert look() == "old"
        kept, names = open("{place.served}/m.py"), os.scandir("{place.served}")
        identity = lambda: (os.fstat(kept.fileno()).st_dev, os.fstat(kept.fileno()).st_ino, os.fstat(kept.fileno()).st_mtime_ns)
        before, first = identity(), kept.read(3)
        child = os.fork()
        if child == 0:
            {way(place, name)}
            words = look(), first + kept.read(), sorted(e.name for e in names), identity() == before
            os._exit(0 if words == ("new", "value = 'old'\\n", ["m.py", "old.py"], True) else print(words, flush=True) or 1)
        assert os.waitpid(child, 0)[1] == 0 and look() == "old"
        os.write(1, b"good\\n")
        """)
    assert_done(local_job([PYTHON, script(place.app, text)], env=place.settings), "good\n" * 2)


def test_what_changes_nothing(place):
    """Calls that change nothing, or fail: the process is served as before."""
    text = LIBC + IS_SERVED + place.look("look") + textwrap.dedent(f"""
        assert look() == "old"
        os.chroot("/")
        try:
            os.chroot("/nonexistent")
        except OSError as error:
            assert error.errno == 2
        assert libc.unshare(0x400) == 0 or ctypes.get_errno() == 22
        assert libc.setns(-1, 0) == -1 and ctypes.get_errno() == 9
        names = open("{place.served}/m.py")
        assert look() == "old" and is_served(names)
        os.write(1, b"good\\n")
        """)
    assert_done(local_job([PYTHON, script(place.app, text)], env=place.settings), "good\n" * 2)


def a_rank_changes_its_view(place, name, who):
    """The others do not see what it sees. Plan and report are written to the right place."""
    for n in range(20):
        for directory, word in (place.served, "old"), (place.other, "new"), (place.in_jail, "new"):
            (directory / f"late{n}.py").write_text(f"value = '{word}'\n")
    here, there = ([((directory / f"late{n}.py").read_text(), (directory / f"late{n}.py").stat().st_ino) for n in range(20)]
                   for directory in (place.served, place.in_jail if name == "chroot" else place.other))
    with cache_directory() as caches_here, tempfile.TemporaryDirectory() as marks:
        text = LIBC + textwrap.dedent(f"""
            import sys
            late = lambda n: (open(f"{place.served}/late{{n}}.py").read(), os.stat(f"{place.served}/late{{n}}.py").st_ino)
            if os.environ["PMI_RANK"] == "{who}":
                late(0), late(1)
                mark = os.open("{marks}", os.O_PATH)
                {way(place, name)}
                assert [late(n) for n in range(10)] == {there[:10]}
                os.close(os.open("moved", os.O_CREAT | os.O_WRONLY, dir_fd=mark))
                time.sleep(0.5)
            else:
                while not os.path.exists("{marks}/moved"):
                    time.sleep(0.01)
                assert [late(n) for n in range(20)] == {here}, [late(n) for n in range(20)]
            os.write(1, b"good\\n")
            """)
        report, plan = place.directory / f"report-{name}-{who}", place.directory / f"plan-{name}-{who}"
        done = local_job([PYTHON, script(place.app, text)], 3,
                         {**place.settings, "FASTIMPORT_DIR": caches_here, "FASTIMPORT_REPORT": str(report), "FASTIMPORT_PLAN": str(plan)})
        assert_done(done, "good\n" * 3)
        assert plan.exists() and sharedjob.read_json(report)["ranks_reporting"] == 3, (
            f"{name}, rank {who}: {os.listdir(place.directory)}")
        assert not [n for n in os.listdir(place.jail) if n != "tmp"], f"{os.listdir(place.jail)}"


def test_a_rank_changes_its_view(place):
    with namespace_of(bound(place, ["sleep", "60"])) as place.namespace:
        for name in WAYS:
            for who in 0, 1:
                a_rank_changes_its_view(place, name, who)


# --- ranks -------------------------------------------------------------------------------------------------------


def ranks_see(place, words, wraps, settings=None):
    """Runs a rank behind each of these words; each sees the right directory. Returns to which of them the served directory is served, and the
    report."""
    child = place.look("look") + "print(look())"
    text = IS_SERVED + place.look("look") + textwrap.dedent(f"""
        import json, subprocess, sys, time
        rank, seen = int(os.environ["PMI_RANK"]), f"{place.app}/seen"
        for _ in range(1000 * (rank > 0)):
            time.sleep(0.01 * (not os.path.exists(seen)))
        word = look()
        child = subprocess.run([sys.executable, "-c", {child!r}], capture_output=True, text=True, check=True).stdout.strip()
        files = [open(json.__file__), open("{place.served}/m.py")]
        served = [is_served(f) for f in files]
        if rank == 0:
            open(seen, "w").close()
        os.write(1, f"{{rank}} {{word}} {{child}} {{served[0]}} {{served[1]}}\\n".encode())
        """)
    app, report = script(place.app, text), place.directory / "report"
    argv = []
    with cache_directory() as caches_here:
        settings = {"LD_PRELOAD": LIBRARY, "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", "FASTIMPORT_DIR": caches_here,
                    "FASTIMPORT_REPORT": report, **place.settings, **(settings or {})}
        for wrap in wraps:
            argv += [":"] * bool(argv) + ["-n", "1", "env", *[f"{k}={v}" for k, v in settings.items()], *wrap, PYTHON, str(app)]
        done = subprocess.run([MPIEXEC, *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and "fastimport" not in done.stderr, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
        assert not caches(caches_here), f"left: {caches(caches_here)}"
    (place.app / "seen").unlink()
    lines = [line.split() for line in sorted(done.stdout.splitlines())]
    assert [line[1:3] for line in lines] == [[word, word] for word in words], f"{lines}, not {words}"
    assert all(line[3] == "True" for line in lines), f"the environment is not served to all: {lines}"
    return [line[4] == "True" for line in lines], sharedjob.read_json(report)


OVER_ANOTHER = ["unshare", "-m", "sh", "-c"]


def test_ranks_of_which_one_sees_another_directory(place):
    """It and its children see their own directory. Everything else is served to it as to the others."""
    served, _ = ranks_see(place, ["old", "new", "old"], [[], bound(place, []), []])
    assert served == [True, False, True], f"{served}"
    served, _ = ranks_see(place, ["new", "old"], [bound(place, []), []])
    assert served == [True, False], f"{served}"


def test_ranks_of_which_one_sees_another_directory_above_or_below(place):
    """The directory itself is no mount point, or a hidden one."""
    above = place.directory / "above"
    (above / "served").mkdir(parents=True)
    for name in "m.py", "new.py":
        (above / "served" / name).write_text((place.other / name).read_text())
    for inner in place.served / "package", place.other / "package":
        inner.mkdir()
    served = f"{place.directory}/tree/served"
    os.makedirs(served)
    for name in "m.py", "old.py":
        pathlib.Path(served, name).write_text((place.served / name).read_text())
    place.served, place.settings = served, {**place.settings, "PYTHONPATH": served}
    over = [*OVER_ANOTHER, 'mount --bind "$0" "$1" && shift && exec "$@"', str(above), os.path.dirname(served)]
    hidden = [*OVER_ANOTHER, 'mount --bind "$1/served" "$1/served" && mount --bind "$0" "$1" && shift && exec "$@"', str(above), os.path.dirname(served)]
    for wrap in over, hidden:
        assert ranks_see(place, ["old", "new"], [[], wrap])[0] == [True, False], f"{wrap}"
    below = [*OVER_ANOTHER, 'mount --bind "$0" "$1" && shift && exec "$@"', f"{above}/served/m.py", f"{served}/m.py"]
    done = subprocess.run([*below, "cat", f"{served}/m.py"], capture_output=True, text=True, check=True)
    assert "new" in done.stdout, f"{done}"
    pathlib.Path(f"{above}/served/m.py").write_text("value = 'old' # and more\n")
    assert ranks_see(place, ["old", "old"], [[], below])[0] == [True, False], "below"


def test_ranks_with_namespaces_of_their_own(place):
    """Containers have such. The same is mounted there, so that the ranks are served."""
    counts = []
    for wrap in [], ["unshare", "-m"], ["unshare", "-m", "--propagation", "slave"]:
        served, report = ranks_see(place, ["old"] * 3, [wrap] * 3)
        assert served == [True] * 3 and report["ranks_reporting"] == 3, f"{wrap}: {served}"
        counts.append([report["calls"][family]["served"] for family in ("open", "dl")])  # others depend on time
    assert counts[0][0] > 100 and counts[0] == counts[1] == counts[2], f"{counts}"
