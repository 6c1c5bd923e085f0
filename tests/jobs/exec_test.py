# SPDX-License-Identifier: BSD-3-Clause
"""Ranks that call exec: the new program works, the launcher is content, and the others end."""

import os

import pytest
from job import (BUILD, assert_done, cache_directory, caches, nodes_job, python_job, read_job,
                 sharedjob)

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")

STATIC = str(BUILD / "tests/jobs/static_program")  # nothing can be preloaded into it


# --- all ranks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", ["os.write(1, b'ran\\n')", "from mpi4py import MPI; os.write(1, b'ran\\n' * MPI.COMM_WORLD.allreduce(1))"],
                         ids=["without MPI", "with MPI"])
def test_all_ranks(after, cache_place):
    """The new program may use MPI. If it does not, only the library can tell the launcher that MPI is closed."""
    done = python_job(f"""
        import os, sys
        if len(sys.argv) == 1:
            os.execv(sys.executable, [sys.executable, sys.argv[0], "again"])
        import json
        {after}
        """, env={"FASTIMPORT_DIR": cache_place})
    assert_done(done, "ran\n" * (4 if "MPI" in after else 2))
    assert not caches(cache_place), f"left: {caches(cache_place)}"


@pytest.mark.parametrize("ranks", ["1", "01"])
def test_an_exec_target_is_served(ranks):
    """What its rank has read is in the node cache, so that it asks the file system nothing."""
    done = read_job(f"""
        import os, reader, sys
        reader.read()
        if len(sys.argv) == 1 and os.environ["PMI_RANK"] in "{ranks}":
            os.execv(sys.executable, [sys.executable, sys.argv[0], str(reader.operations())])
        if len(sys.argv) > 1:
            os.write(1, b"%d\\n" % (reader.operations() - int(sys.argv[1])))
        """, env={"FASTIMPORT_WAIT_MS": 300})
    assert_done(done, "0\n" * len(ranks))


# What a call of exec in C starts: it prints its arguments and its variable WORD, and ends 0.3 s later with exit code 0. By then the
# launcher has noticed a rank that ends with PMI open, and has ended the job without a word.
CALLS = {
    "execv": f"libc.execv(b'{STATIC}', argv)",
    "execve": f"libc.execve(b'{STATIC}', argv, env)",
    "execvp": "libc.execvp(b'static_program', argv)",
    "execvpe": "libc.execvpe(b'static_program', argv, env)",
    "execl": f"libc.execl(b'{STATIC}', b'static_program', b'a', b'b', None)",
    "execlp": "libc.execlp(b'static_program', b'static_program', b'a', b'b', None)",
    "execle": f"libc.execle(b'{STATIC}', b'static_program', b'a', b'b', None, env)",
    "fexecve": f"libc.fexecve(os.open('{STATIC}', os.O_RDONLY), argv, env)",
    "execveat": f"libc.execveat(os.open('{os.path.dirname(STATIC)}', os.O_RDONLY), b'static_program', argv, env, 0)",
    "execveat of a descriptor": f"libc.execveat(os.open('{STATIC}', os.O_RDONLY), b'', argv, env, 0x1000)",
}


@pytest.mark.parametrize("name, call", CALLS.items(), ids=CALLS)
def test_every_call_of_exec(name, call):
    done = python_job(f"""
        import ctypes, os, time
        libc = ctypes.CDLL(None)
        argv = (ctypes.c_char_p * 4)(b"static_program", b"a", b"b", None)
        words = [b"WORD=given", *(b"%s=%s" % pair for pair in os.environb.items())]
        env = (ctypes.c_char_p * (len(words) + 1))(*words, None)
        os.environ["WORD"] = "inherited"
        os.environ["PATH"] = "/nowhere:{os.path.dirname(STATIC)}:" + os.environ["PATH"]
        time.sleep(0.3 * int(os.environ["PMI_RANK"]))
        {call}
        """)
    word = "given" if "env" in call else "inherited"
    assert done.returncode == 0 and sorted(done.stdout) == sorted(f"new a b {word}\n" * 2) and "fastimport" not in done.stderr, (
        f"{name}: exit {done.returncode}\n{done.stdout}{done.stderr}")


SUM = "from mpi4py import MPI; import os; os.write(1, b'sum %d\\\\n' % MPI.COMM_WORLD.allreduce(1))"


def test_exec_targets_without_the_library():
    """A static program, a script, one whose environment lacks the library, or switches it off: its end is not taken for a crash."""
    cases = [("all", f"os.execv('{STATIC}', ['static_program'])"), ("net", f"os.execv('{STATIC}', ['static_program'])"), ("all", "os.execv(script, [script])"),
             ("all", "os.execve(sys.executable, [sys.executable, '-c', 'print(\"new\")'], {})"),
             ("all", "os.execve(sys.executable, [sys.executable, '-c', 'print(\"new\")'], dict(os.environ, FASTIMPORT='0'))")]
    for served, how in cases:
        with cache_directory() as place:
            done = python_job(f"""
                import os, sys, time
                if os.environ["PMI_RANK"] == "1":
                    script = os.path.dirname(sys.argv[0]) + "/script"
                    with open(script, "w") as f:
                        f.write("#!{STATIC}\\n")
                    os.chmod(script, 0o755)
                    {how}
                time.sleep(1)
                print("the rest")
                """, env={"FASTIMPORT_FS": served, "FASTIMPORT_WAIT_MS": 300, "FASTIMPORT_DIR": place})
            first, *rest = sorted(done.stdout.splitlines())
            assert done.returncode == 0 and first.startswith("new") and rest == ["the rest"] and "fastimport" not in done.stderr, (
                f"{how}, {served}: exit {done.returncode}\n{done.stdout}{done.stderr}")
            assert not caches(place), f"left: {caches(place)}"


def test_an_exec_target_that_is_killed(cache_place):
    """The launcher says so. (As PMI was closed before exec, it lets the others go on, if it has heard of that by then.)"""
    done = python_job("""
        import os, time
        if os.environ["PMI_RANK"] == "1":
            os.execve("/bin/sh", ["sh", "-c", "kill -9 $$"], {})
        time.sleep(1)
        print("the rest")
        """, env={"FASTIMPORT_DIR": cache_place, "FASTIMPORT_WAIT_MS": 300}, timeout=15)
    assert done.returncode == 9, f"exit {done.returncode}\n{done.stdout}{done.stderr}"


def test_an_exec_that_fails():
    """The program goes on, and its MPI works. The library knows beforehand most of what the kernel will not start."""
    foreign = "b'\\x7fELF\\x02\\x01\\x01' + bytes(11) + b'\\x02' + bytes(200)"
    cases = [("['x']", "/nonexistent"), ("['x']", "/dev/null"), ("['x']", "/tmp"), ("['x']", "foreign"), ("['x', 'y' * 10000000]", STATIC),
             ("['x', 'y' * 10000000]", "/bin/sh")]
    for words, path in cases:
        with cache_directory() as place:
            done = python_job(f"""
                import json, os, sys
                foreign = f"{{os.path.dirname(sys.argv[0])}}/{{os.environ['PMI_RANK']}}"
                with open(foreign, "wb") as f:
                    f.write({foreign})
                os.chmod(foreign, 0o755)
                try:
                    os.execv({path if path == "foreign" else repr(path)}, {words})
                except OSError:
                    pass
                {SUM.replace(chr(92) * 2, chr(92))}
                """, env={"FASTIMPORT_DIR": place, "FASTIMPORT_WAIT_MS": 60000}, timeout=30)
            assert_done(done, "sum 2\n" * 2)
            assert done.stderr == "", done.stderr
            assert not caches(place), f"left: {caches(place)}"


@pytest.mark.parametrize("place, served", [("/dev/shm", "net"), ("/nonexistent", "all")])
def test_nothing_to_serve(place, served):
    """Nothing of the rank is on a network file system, or it has no node cache. Neither its new program nor its children may start MPI in its
    slot again, and the job ends."""
    done = python_job("""
        import os, sys
        if len(sys.argv) == 1 and os.environ["PMI_RANK"] == "1":
            os.execv(sys.executable, [sys.executable, sys.argv[0], "again"])
        os.write(1, b"ran\\n")
        """, env={"FASTIMPORT_FS": served, "FASTIMPORT_WAIT_MS": 300, "FASTIMPORT_DIR": place}, timeout=30)
    assert done.returncode == 0 and done.stdout == "ran\n" * 2, f"{place}: {done}"
    assert done.stderr.count("fastimport: ") == (place == "/nonexistent"), done.stderr


# --- one of several ----------------------------------------------------------------------------------------------


def others_end(ranks, nodes, who, idle_ms):
    """Rank `who` calls exec after 0.6 s. The others end without a message, though it will never close the session with them. Returns the
    number of ranks in the report, or None if there is none."""
    with cache_directory() as place:
        report = f"{place}/report"
        done = nodes_job(f"""
            import os, sys, time
            if len(sys.argv) == 1 and os.environ["PMI_RANK"] == "{who}":
                time.sleep(0.6)
                os.execv(sys.executable, [sys.executable, sys.argv[0], "again"])
            import json
            os.write(1, b"ran\\n")
            """, ranks, nodes, {"FASTIMPORT_DIR": place, "FASTIMPORT_WAIT_MS": 300, "FASTIMPORT_IDLE_MS": idle_ms, "FASTIMPORT_REPORT": report})
        about = f"rank {who} of {ranks} on {nodes} nodes, END after {idle_ms} ms: exit {done.returncode}\n{done.stdout}{done.stderr}"
        lines = [line for line in done.stdout.splitlines() if " UCX " not in line]
        assert done.returncode == 0 and lines == ["ran"] * ranks and "fastimport" not in done.stderr, about
        assert not caches(place), f"left: {caches(place)} {about}"
        return sharedjob.read_json(report)["ranks_reporting"] if os.path.exists(report) else None


BEFORE_END, AFTER_END = 10000, 100  # FASTIMPORT_IDLE_MS


@pytest.mark.parametrize("idle_ms", [BEFORE_END, AFTER_END])
@pytest.mark.parametrize("ranks, nodes, who", [(3, 1, 1), (4, 2, 3), (4, 2, 1), (6, 3, 5)])
def test_one_rank(ranks, nodes, who, idle_ms):
    reporting = others_end(ranks, nodes, who, idle_ms)
    assert reporting == ranks, (
        f"rank {who} of {ranks} on {nodes} nodes, END after {idle_ms} ms: {reporting} in the report")


@pytest.mark.parametrize("idle_ms", [BEFORE_END, AFTER_END])
@pytest.mark.parametrize("ranks, nodes, who", [(4, 2, 2), (2, 2, 1), (5, 5, 3)])
def test_a_leader(ranks, nodes, who, idle_ms):
    """The root never gets the statistics of its node."""
    reporting = others_end(ranks, nodes, who, idle_ms)
    assert reporting == ranks - ranks // nodes, (
        f"rank {who} of {ranks} on {nodes} nodes, END after {idle_ms} ms: {reporting} in the report")


@pytest.mark.parametrize("idle_ms", [BEFORE_END, AFTER_END])
@pytest.mark.parametrize("ranks, nodes", [(4, 2), (2, 2)])
def test_the_root(ranks, nodes, idle_ms):
    """Nobody writes the report."""
    assert others_end(ranks, nodes, 0, idle_ms) is None, "who has written this report?"
