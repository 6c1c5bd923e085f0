#!/usr/bin/python3
"""MPI's own libraries where LD_LIBRARY_PATH has directories on the environment's file system: what the launcher has listed
is not searched, and ld.so's choice is the same as without.

Closes with "N passed, N failed".
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests/mpi"))
from jobs import BUILD, LIBRARY, MPIEXEC, PYTHON, check, run_all  # noqa: E402

# Objects in the order of the link map, but for the stubs, which are files without a name.
LINK_MAP = """
import ctypes, os
class Info(ctypes.Structure):
    _fields_ = [("addr", ctypes.c_void_p), ("name", ctypes.c_char_p)]
names = []
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Info), ctypes.c_size_t, ctypes.c_void_p)
def note(info, size, data):
    names.append(info.contents.name.decode())
    return 0
ctypes.CDLL(None).dl_iterate_phdr(note, None)
line = " ".join([os.environ["PMI_RANK"], *[n for n in names if n and "/proc/self/" not in n]]) + "\\n"
os.write(1, line.encode())  # at once: the ranks share the output
"""


def job(search, launcher=True, program=LINK_MAP, prefix=(), env=None):
    """Two ranks with LD_LIBRARY_PATH; `launcher`: is it preloaded, too?"""
    settings = {"LD_LIBRARY_PATH": ":".join(map(str, search)), "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", **(env or {})}
    inner, outer = ([], {"LD_PRELOAD": str(LIBRARY)}) if launcher else (["env", f"LD_PRELOAD={LIBRARY}"], {})
    done = subprocess.run([MPIEXEC, "-n", "2", *prefix, *inner, PYTHON, "-c", program], env={**os.environ, **settings, **outer},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    check(done.returncode == 0, f"exit {done.returncode}: {done.stdout}{done.stderr}")
    return done


def link_maps(done):
    """Of each rank, MPI's libraries in their order."""
    maps = [line.split()[1:] for line in sorted(done.stdout.splitlines())]
    check(len(maps) == 2 and all(any("libmpi" in n for n in m) for m in maps), f"no MPI library in {maps}")
    return maps


def system_library(name):
    lines = subprocess.check_output(["/sbin/ldconfig", "-p"], text=True).splitlines()
    return next(line.split()[-1] for line in lines if line.strip().startswith(name + " "))


def places(scratch):
    """An empty directory, one that has a library of MPI's, a missing one, one with hardware's subdirectory."""
    names = [pathlib.Path(scratch, n) for n in ("empty", "own", "missing", "hwcaps")]
    names[0].mkdir()
    names[1].mkdir()
    (names[3] / "glibc-hwcaps/x86-64-v2").mkdir(parents=True)
    shutil.copy(system_library("libhwloc.so.15"), names[1] / "libhwloc.so.15")
    shutil.copy(system_library("libucs.so.0"), names[3] / "glibc-hwcaps/x86-64-v2/libucs.so.0")
    return names


def test_the_same_libraries_in_the_same_order():
    with tempfile.TemporaryDirectory() as scratch:
        search = places(scratch)
        told, untold = link_maps(job(search)), link_maps(job(search, launcher=False))
        check(told == untold, f"{told}\n{untold}")
        for name in (f"{search[1]}/libhwloc.so.15", f"{search[3]}/glibc-hwcaps/x86-64-v2/libucs.so.0"):
            check(all(name in m for m in told), f"{name} not in {told}")


def test_listed_directories_are_not_searched():
    with tempfile.TemporaryDirectory() as scratch:
        search = places(scratch)
        log = f"{scratch}/strace"
        prefix = ["sh", "-c", f'exec strace -f -qq -e trace=openat -o {log}.$PMI_RANK "$@"', "sh"]
        for launcher, expected in ((True, 0), (False, 10)):
            job(search, launcher, "pass", prefix)
            for rank in range(2):
                text = pathlib.Path(f"{log}.{rank}").read_text(errors="replace")
                after = text[text.index("/proc/self/mountinfo" if launcher else "libmpi.so"):]
                asked = re.findall(rf'"{search[0]}/([^"]*)"', after)
                check(len(asked) <= expected if launcher else len(asked) >= expected, f"launcher {launcher}, rank {rank}: {asked}")


def test_another_list_than_the_launchers():
    """A directory that the program's own script has put in front is searched."""
    with tempfile.TemporaryDirectory() as scratch:
        search = places(scratch)
        other = pathlib.Path(scratch, "other")
        other.mkdir()
        shutil.copy(system_library("libucp.so.0"), other / "libucp.so.0")
        maps = link_maps(job(search, prefix=["env", f"LD_LIBRARY_PATH={other}:{':'.join(map(str, search))}"]))
        check(all(f"{other}/libucp.so.0" in m and f"{search[1]}/libhwloc.so.15" in m for m in maps), f"{maps}")


def test_the_working_directory_on_the_list():
    with tempfile.TemporaryDirectory() as scratch:
        search = places(scratch)
        shutil.copy(system_library("libucm.so.0"), f"{scratch}/libucm.so.0")
        for odd in ("", "."):
            done = job([*search, odd], prefix=["sh", "-c", f'cd {scratch} && exec "$@"', "sh"])
            check(all("libucm.so.0" in m or "./libucm.so.0" in m for m in link_maps(done)), f"{odd!r}: {link_maps(done)}")


def test_nonsense_from_the_launcher():
    with tempfile.TemporaryDirectory() as scratch:
        search = places(scratch)
        plain = link_maps(job(search, launcher=False))
        for text in ("", "1:", "1::.", "1:0123456789abcdef:.", "9:x", "1:" + "f" * 5000):
            check(link_maps(job(search, launcher=False, env={"FASTIMPORT_LIBRARY_NAMES": text})) == plain, f"with {text[:40]!r}")


if __name__ == "__main__":
    os.umask(0o22)
    sys.exit(run_all(globals(), sys.argv[1:]))
