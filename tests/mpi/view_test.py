#!/usr/bin/python3
"""The same name, another file: ranks and their descendants in other mount namespaces and behind chroot, which see what a plain
run shows them."""

import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap

sys.dont_write_bytecode = True
import jobs  # noqa: E402
from jobs import PYTHON, cache_place, caches, check, check_done, local_job, script  # noqa: E402


class Place:
    """A served directory with a module, another one that can be mounted over it, and a root directory in which it is that one."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
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
        """Code of a function that says in one word what is there; "mixed": this and that."""
        return textwrap.dedent(f"""
            import os
            def {name}():
                word = open("{self.served}/m.py").read().split("'")[1]
                names = {{e.name for e in os.scandir("{self.served}")}}
                there = {{n for n in ("old", "new") if os.path.exists(f"{self.served}/{{n}}.py")}}
                sizes = os.stat("{self.served}/m.py").st_ino == os.fstat(os.open("{self.served}/m.py", 0)).st_ino
                return word if names == {{"m.py", f"{{word}}.py"}} and there == {{word}} and sizes else f"mixed {{word}} {{names}} {{there}} {{sizes}}"
            """)


def placed(test):
    def run():
        with tempfile.TemporaryDirectory() as scratch:
            test(Place(scratch))

    run.__name__ = test.__name__
    return run


def bound(place, command):
    """Words that run the command where the other directory is mounted over the served one."""
    return ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', str(place.other), str(place.served), *map(str, command)]


# --- descendants -------------------------------------------------------------------------------------------------


def children_see(place, word, start, wrap=()):
    """Children that are started by these words see what `word` stands for, without an MPI; the rank sees the old."""
    child = place.look("look") + "t = open('/proc/self/maps').read(); print(look(), 'mpich' in t, '/index' in t)"
    with cache_place() as caches_here:
        text = place.look("look") + textwrap.dedent(f"""
            import subprocess, sys
            assert look() == "old", look()
            done = subprocess.run([*{start!r}, sys.executable, "-c", {child!r}], capture_output=True, text=True)
            assert (done.stdout, done.stderr) == ("{word} False {word == "old"}\\n", ""), done
            assert look() == "old", look()
            os.write(1, b"good\\n")
            """)
        done = local_job([PYTHON, script(place.directory, text)], env={**place.settings, "FASTIMPORT_DIR": caches_here}, wrap=wrap)
        check_done(done, "good\n" * 2)
        check(not caches(caches_here), f"left: {caches(caches_here)}")


@placed
def test_a_child_in_another_namespace(place):
    children_see(place, "new", bound(place, []))


@placed
def test_a_child_with_the_same_view(place):
    """Which is served, or the other tests would show nothing."""
    children_see(place, "old", ["sh", "-c", 'exec "$0" "$@"'])


@placed
def test_a_child_in_another_root_of_the_same_file_system(place):
    """The same namespace and the same root directory, mounted twice; and only there something else over the served directory."""
    root = place.directory / "root"
    root.mkdir()
    mounts = f"mount --rbind / {root} && mount --bind {place.other} {root}{place.served} && exec \"$0\" \"$@\""
    children_see(place, "new", ["chroot", str(root)], ["unshare", "-m", "sh", "-c", mounts])


@placed
def test_a_rank_becomes_another_program_elsewhere(place):
    """It is not served, and the launcher and the others are told what is expected of it."""
    with cache_place() as caches_here:
        text = place.look("look") + textwrap.dedent(f"""
            import os, sys
            assert look() == ("old" if len(sys.argv) == 1 else "new"), look()
            if len(sys.argv) == 1 and os.environ["PMI_RANK"] == "1":
                words = {bound(place, [])!r} + [sys.executable, sys.argv[0], "again"]
                os.execvp(words[0], words)
            os.write(1, b"good\\n")
            """)
        done = local_job([PYTHON, script(place.directory, text)],
                         env={**place.settings, "FASTIMPORT_DIR": caches_here, "FASTIMPORT_WAIT_MS": 300}, timeout=30)
        check_done(done, "good\n" * 2)
        check(not caches(caches_here), f"left: {caches(caches_here)}")


if __name__ == "__main__":
    sys.exit(jobs.run_all(globals(), sys.argv[1:]))
