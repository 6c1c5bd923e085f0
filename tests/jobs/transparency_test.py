# SPDX-License-Identifier: BSD-3-Clause
"""The library is in nobody's way: programs that close what they did not open, forbid system calls, drop privileges, or have nothing to be
served do what they do without it."""

import glob
import os
import re
import subprocess
import tempfile
import textwrap
import time

import pytest
from job import (LIBRARY, MPIEXEC, PYTHON, assert_done, cache_directory, caches, local_job,
                 nodes_job, plain_job, script)

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")

NOBODY = 65534

# For the scripts: one write for a line, so that the lines of two ranks do not mix.
SAY = """
import os
def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())
"""


def same_as_plain(text, ranks=2, env=None, words=(), limit=60):
    """The script's output, sorted by line, and its exit code are a plain job's, no message is seen, and no cache is left."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch, cache_directory() as caches_of:
        os.chmod(scratch, 0o755)
        command = [PYTHON, script(scratch, SAY + textwrap.dedent(text)), *words]
        plain = plain_job(command, ranks, limit)
        for made in glob.glob(f"{scratch}/child*"):
            os.unlink(made)
        fast = local_job(command, ranks, {"FASTIMPORT_DIR": caches_of, **(env or {})}, limit)
        got, wanted = [(d.returncode, sorted(d.stdout.splitlines()), d.stderr) for d in (fast, plain)]
        assert got == wanted, f"{got}\nnot {wanted}"
        assert not caches(caches_of), f"left: {caches(caches_of)}"
        return plain.stdout


# --- descriptors -------------------------------------------------------------------------------------------------

CLOSES = """
    import ctypes, os, sys
    def close_all():
        for fd in range(3, 4096):
            try: os.close(fd)
            except OSError: pass
    def dup_all():
        null = os.open("/dev/null", os.O_RDONLY)
        for fd in range(3, 1100):
            try: os.dup2(null, fd)
            except OSError: pass
    libc = ctypes.CDLL(None)
    how = {"closerange": lambda: os.closerange(3, 4096), "close": close_all, "dup2": dup_all,
           "close_range": lambda: libc.close_range(3, 2 ** 32 - 1, 0), "closefrom": lambda: libc.closefrom(3)}
    how[sys.argv[1]]()
    import decimal, email.message, json, xml.dom.minidom
    say(sys.argv[1], decimal.Decimal(1), os.path.exists(json.__file__), len(os.listdir(os.path.dirname(json.__file__))) > 3)
    """


@pytest.mark.parametrize("how", ["closerange", "close", "close_range", "closefrom", "dup2"])
def test_all_descriptors_are_closed(how):
    """A rank without MPI that closes what it did not open ends as without the library: neither PMI nor the descriptors of MPI are lost."""
    assert same_as_plain(CLOSES, words=[how]).count(how) == 2, how
    done = nodes_job(SAY + textwrap.dedent(CLOSES).replace("sys.argv[1]", repr(how)), 4, 2)
    assert_done(done, f"{how} 1 True True\n" * 4)


def test_closed_descriptors_seem_closed():
    """The first close of the launcher's descriptor succeeds; the second one fails, and so do those of descriptors that the program does not
    know. What the program puts in their places is there."""
    same_as_plain("""
        import errno, os
        def close(fd):
            try: os.close(fd)
            except OSError as e: return e.errno == errno.EBADF
        own = os.open("/dev/null", os.O_RDONLY)
        pmi = int(os.environ["PMI_FD"])
        others = [fd for fd in map(int, os.listdir("/proc/self/fd")) if fd not in (0, 1, 2, own, pmi)]
        say(close(pmi), close(pmi), all(close(fd) for fd in others), close(own), close(own))
        text = os.memfd_create("text")
        os.write(text, b"program's")
        for fd in pmi, 900, 901, 7:
            os.dup2(text, fd)
        import decimal, json
        say([os.pread(fd, 100, 0) for fd in (pmi, 900, 901, 7)])
        """)


@pytest.mark.parametrize("rank", [0, 1])
def test_one_rank_takes_the_numbers_of_mpi(rank):
    """The others wait for it no longer than for a rank that calls exec."""
    start = time.monotonic()
    same_as_plain(f"""
        import os
        if os.environ["PMI_RANK"] == "{rank}":
            null = os.open("/dev/null", os.O_RDONLY)
            for fd in range(3, 1100):
                os.dup2(null, fd)
        import decimal, json
        say(decimal.Decimal(1))
        """, env={"FASTIMPORT_WAIT_MS": "500"})
    assert time.monotonic() - start < 20, "waited for too long"


def test_no_room_is_made_in_files_of_the_program():
    """A child that has closed all descriptors by a raw system call notes its changes in the node's index, and not in the file that now has the
    number of the index."""
    same_as_plain("""
        import ctypes
        if os.fork() == 0:
            ctypes.CDLL(None).syscall(436, 3, 2 ** 32 - 1, 0)
            files = [os.memfd_create(str(n)) for n in range(1000)]
            place = os.path.dirname(os.path.abspath(__file__))
            for n in range(500):
                os.close(os.open(f"{place}/child{n}.py", os.O_CREAT | os.O_WRONLY))
            say([os.fstat(f).st_size for f in files if os.fstat(f).st_size])
            os._exit(0)
        os.wait()
        say(os.path.exists(os.path.dirname(os.path.abspath(__file__)) + "/child499.py"))
        """, ranks=1)


# --- system calls ------------------------------------------------------------------------------------------------


def traced(words, env, scratch):
    """Runs a command under strace. Returns ({system call: how often}, output)."""
    out = subprocess.run(["strace", "-f", "-qq", "-c", "-U", "name,calls", "-o", f"{scratch}/calls", "env", *[f"{k}={v}" for k, v in env.items()],
                          *map(str, words)], capture_output=True, text=True, timeout=60)
    assert out.returncode == 0, out
    rows = [line.split() for line in open(f"{scratch}/calls")]
    return {r[0]: int(r[1]) for r in rows if len(r) == 2 and r[1].isdigit() and r[0] != "total"}, out.stdout


# ALLOWING NAMES COMMAND...: runs the command under a filter that kills a process for any system call that NAMES lacks.
ALLOWING = """
    import ctypes, os, re, struct, sys
    known = dict(re.findall(r"#define __NR_(\\w+) (\\d+)", open("/usr/include/x86_64-linux-gnu/asm/unistd_64.h").read()))
    numbers = sorted({int(known[n]) for n in sys.argv[1].split(",")})
    code = [(0x20, 0, 0, 0)] + [(0x15, len(numbers) - i, 0, n) for i, n in enumerate(numbers)] + [(6, 0, 0, 0x80000000), (6, 0, 0, 0x7fff0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *c) for c in code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(code)))
    libc = ctypes.CDLL(None)
    assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program) == 0
    os.execv(sys.argv[2], sys.argv[2:])
    """


@pytest.mark.needs("strace")
def test_children_make_no_system_calls_of_ours(scratch):
    """A filter allows the system calls that a plain process makes. Children of ranks live under it, and are served."""
    child = "import json, decimal, sqlite3, numpy, colorsys; print(colorsys.__file__)"
    plain, _ = traced([PYTHON, "-c", child], {}, scratch)
    allowing = script(scratch, ALLOWING).rename(f"{scratch}/allowing.py")
    names = ",".join([*plain, "exit", "exit_group"])
    words = [PYTHON, str(allowing), names, PYTHON, "-c", child]
    alone = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert alone.returncode == 0, f"the filter kills a plain process: {alone}"
    words[2] = names.replace(",lseek", "")
    killed = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert killed.returncode == -31, f"the filter kills nobody: {killed}"
    words[2] = names
    same_as_plain(f"""
        import subprocess
        import json, decimal, sqlite3, numpy, colorsys
        done = subprocess.run({words}, capture_output=True, text=True)
        say(done.returncode, done.stdout.strip(), done.stderr)
        """)


def traced_rank(words, env, scratch):
    """Runs a job of one rank under strace. Returns ([(system call, the rest of its line)], output)."""
    out = subprocess.run([MPIEXEC, "-n", "1", "strace", "-f", "-qq", "-o", f"{scratch}/trace", "env", *[f"{k}={v}" for k, v in env.items()],
                          *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert out.returncode == 0 and out.stderr == "", out
    return re.findall(r"^\d+ +(\w+)\((.*)", open(f"{scratch}/trace").read(), re.M), out.stdout


# What it costs to load one more library, and to read mountinfo and the environment.
LOADING = {"openat": 12, "read": 12, "close": 12, "mmap": 12, "munmap": 4, "mprotect": 4, "newfstatat": 6, "access": 6, "readlink": 12, "getcwd": 12,
           "brk": 8, "pread64": 2}
LOOK = """
    import json, decimal, os
    say(json.__file__, decimal.Decimal(1), len(os.listdir("/proc/self/task")), os.path.exists("/nonexistent"), os.environ["PMI_RANK"])
    """


def only_loads_a_library(words, env, run):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        plain, said = run(words, {"X": "1"}, scratch)
        fast, told = run(words, {"LD_PRELOAD": str(LIBRARY), **env}, scratch)
        assert said == told, f"{told}, not {said}"
        names = [[call for call, _ in trace] for trace in (plain, fast)]
        more = {n: names[1].count(n) - names[0].count(n) for n in names[1] if names[1].count(n) > names[0].count(n)}
        assert all(LOADING.get(n, 0) >= k for n, k in more.items()), f"more calls: {more}"
        strange = [f"{call}({rest}" for call, rest in fast if re.search("/fastimport-[0-9]|/dev/shm|libmpi", rest) and call != "execve"]
        assert not strange, strange


@pytest.mark.needs("strace")
def test_a_rank_with_nothing_to_serve_does_nothing():
    """It starts no thread, opens no file, loads no MPI, and makes no other system calls than a plain rank but for loading the library. So does
    a rank that has switched the library off."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        app = script(scratch, SAY + textwrap.dedent(LOOK))
        for env in {"FASTIMPORT_FS": "net"}, {"FASTIMPORT": "0", "FASTIMPORT_FS": "all"}, {"FASTIMPORT_EXCLUDE": "/usr"}:
            only_loads_a_library([PYTHON, app], env, traced_rank)
            only_loads_a_library([PYTHON, "-c", f"import subprocess; subprocess.run(['{PYTHON}', '{app}'])"], env, traced_rank)
    same_as_plain(LOOK, env={"FASTIMPORT_FS": "net"})
    done = local_job([PYTHON, "-c", "import json"], env={"FASTIMPORT_FS": "net", "FASTIMPORT_LOG": "info"})
    assert done.returncode == 0 and done.stderr.count("fastimport") == 1 and "nothing of this program is on a network" in done.stderr, (
        done)


@pytest.mark.needs("strace")
def test_shells_are_left_alone():
    only_loads_a_library(["sh", "-c", "echo $0; exit 0"], {"FASTIMPORT_FS": "all"}, traced_rank)


def test_one_rank_has_nothing_to_serve(network):
    """The others wait for it as for a rank that does not join."""
    mount, local = network
    (mount / "m.py").write_text("")
    (local / "app.py").write_text("import os, sys\nif len(sys.path) < 0: pass\nos.write(1, b'here\\n')\n")
    start = time.monotonic()
    words = ["env", f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_PLAN=off", "FASTIMPORT_JOIN_MS=2000"]
    app = ["/usr/bin/python3", str(local / "app.py")]
    done = subprocess.run([MPIEXEC, "-n", "1", *words, *app, ":", "-n", "1", *words, f"PYTHONPATH={mount}", *app], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout == "here\n" * 2, done
    assert time.monotonic() - start < 15, "waited for too long"


# --- privileges --------------------------------------------------------------------------------------------------

def secret_job(text, env=None):
    """Runs ranks that look at a directory of root's, and then do what the text says. Output and exit code are those of a plain job. Returns the
    plain output."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch, cache_directory() as place:
        os.chmod(scratch, 0o755)
        os.mkdir(f"{scratch}/secret", 0o700)
        open(f"{scratch}/secret/m.py", "w").close()
        app = script(scratch, SAY + f"""
import os, subprocess, sys
place = {scratch!r} + "/secret"
def look():
    said = []
    for f in os.listdir, lambda p: os.stat(p + "/m.py").st_size, lambda p: os.close(os.open(p + "/m.py", os.O_RDONLY)), lambda p: os.path.exists(p + "/n"):
        try: said.append(f(place))
        except OSError as e: said.append(e.strerror)
    return said
rank = int(os.environ["PMI_RANK"])
before = look()
{textwrap.dedent(text)}
import colorsys
say(rank, before, look())
""")
        os.chmod(app, 0o644)
        command = ["/usr/bin/python3", app]
        settings = {"FASTIMPORT_PATH": f"{scratch}/secret", "FASTIMPORT_DIR": place, "FASTIMPORT_WAIT_MS": "500", **(env or {})}
        plain, fast = plain_job(command), local_job(command, env=settings)
        got, wanted = [(d.returncode, sorted(d.stdout.splitlines()), d.stderr) for d in (fast, plain)]
        assert got == wanted, f"{got}\nnot {wanted}"
        assert not caches(place), f"left: {caches(place)}"
        return plain.stdout


@pytest.mark.parametrize("call", [f"os.setuid({NOBODY})", f"os.setreuid({NOBODY}, {NOBODY})", f"os.setresuid({NOBODY}, {NOBODY}, {NOBODY})",
                 f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})", f"os.seteuid({NOBODY})"])
def test_a_rank_drops_its_privileges(call):
    """The library no longer answers for what the rank was allowed to read before. Its cache is removed all the same."""
    assert secret_job(call).count("Permission denied") == 8 - 2, call


@pytest.mark.parametrize("rank", [0, 1])
def test_one_rank_drops_its_privileges(rank):
    out = secret_job(f"if rank == {rank}: os.setuid({NOBODY})")
    assert out.count("Permission denied") == 3, out


def test_privileges_are_dropped_for_a_while_or_not_at_all():
    secret_job(f"os.seteuid({NOBODY}); say(look()); os.seteuid(0)")
    secret_job("os.setuid(0); os.setgroups([0])")
    secret_job(f"os.setgid({NOBODY})")
    secret_job(f"""
        import ctypes
        libc = ctypes.CDLL(None)
        say(libc.setfsuid({NOBODY}), look(), libc.setfsuid(0))
        """)


def test_children_drop_their_privileges():
    """Their rank is served as before."""
    out = secret_job(f"""
        if os.fork() == 0:
            os.setuid({NOBODY})
            say("child", look())
            os._exit(0)
        os.wait()
        say(subprocess.run([sys.executable, "-c", "import json, os; print(os.getuid())"], user={NOBODY}, capture_output=True, text=True).stdout.strip())
        """)
    assert out.count("Permission denied") == 6, out
