# SPDX-License-Identifier: BSD-3-Clause
"""A fault at each boundary below libfastimport.so, in whole jobs: the program's result is that of a plain run, there is one
message at most, every wait ends, and no node cache stays. The table of faults in preload/design/failure-modes.md names the tests.
"""

import functools
import os
import pathlib
import subprocess
import tempfile
import time

import pytest
from job import BUILD, LIBRARY, MPIEXEC, ROOT, cache_directory, caches, plain_job, script, sharedjob

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")

FAULTS = BUILD / "faults.so"
PYTHON = "/usr/bin/python3"
NODES = ROOT / "bench/emulator/nodes/mpiexec-nodes"
# What is imported, listed, read and not there, in one line a rank.
PROGRAM = """
import decimal, email.mime.text, hashlib, importlib.util, json, os, xml.dom.minidom
place = os.path.dirname(json.__file__)
read = hashlib.md5(b"".join(open(f"{place}/{n}", "rb").read() for n in sorted(os.listdir(place)) if n.endswith(".py")))
facts = [read.hexdigest(), os.stat(json.__file__).st_mtime_ns, os.path.getsize(decimal.__file__), importlib.util.find_spec("nowhere")]
os.write(1, f"{facts} {os.path.exists(place + '/nowhere')} {decimal.Decimal(2).sqrt()}\\n".encode())
"""
TIMES = {"FASTIMPORT_JOIN_MS": "1500", "FASTIMPORT_WAIT_MS": "200"}
ALL = 1000000
UCX = " UCX  WARN "  # UCX prints on standard output which messages were in flight at the end


@functools.cache
def plain_line():
    """What a rank prints without the library."""
    with tempfile.TemporaryDirectory() as scratch:
        return plain_job([PYTHON, script(scratch, PROGRAM)], ranks=1).stdout


@functools.cache
def usual_stats():
    """How many calls of stat() a rank makes, and is served, without a fault."""
    return job(None).report["calls"]["stat"]["served"] / 2


def job(spec, rank=None, path=None, ranks=2, nodes=1, env=None, program=PROGRAM):
    """Runs the program with a fault. Returns the CompletedProcess, with seconds, left (node caches), report, and faults (how often it happened)."""
    with cache_directory() as place, tempfile.TemporaryDirectory() as scratch:
        log = f"{scratch}/faults"
        settings = {"LD_PRELOAD": f"{LIBRARY}:{FAULTS}", "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", "FASTIMPORT_DIR": place,
                    "FASTIMPORT_REPORT": f"{scratch}/report", "FAULTS": spec, "FAULTS_LOG": log, "FAULTS_RANK": rank, "FAULTS_PATH": path,
                    **TIMES, **(env or {})}
        words = [f"{k}={v}" for k, v in settings.items() if v is not None]
        command = [PYTHON, str(script(scratch, program))]
        if nodes == 1:
            argv = [MPIEXEC, "-n", str(ranks), "env", *words, *command]
        else:
            argv = [str(NODES), "-N", str(nodes), "-n", str(ranks), *[f"--env={w}" for w in words], "--", *command]
        start = time.monotonic()
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        done.seconds = time.monotonic() - start
        done.left = caches(place)
        done.report = sharedjob.read_json(f"{scratch}/report")
        done.faults = pathlib.Path(log).read_text().count("\n") if os.path.exists(log) else 0
        return done


def check_served(report, ranks, but, about):
    """So many ranks asked about as much as without a fault, and were served, but for calls of the families `but`. (On a busy machine few
    answers come too late.)"""
    assert report is not None, f"no report: {about}"
    calls, late = report["calls"], report["fallbacks"]["timeout"]
    usual = ranks * usual_stats()
    assert calls["stat"]["intercepted"] > 0.8 * usual and late < 0.05 * usual, (
        f"stat: usually {usual}, {calls}, {late} late: {about}")
    for family in set(calls) - set(but.split()):
        assert calls[family]["served"] + late >= calls[family]["intercepted"], f"{family}: {calls} {report['fallbacks']} {about}"


def survives(spec, says=None, most=1, ranks=2, left=False, served=0, but="", **kw):
    """The job ends as it would without the library. says: what a message holds (None: there need be none); most: how many messages there may
    be; left: a node cache may stay; served: so many ranks are served all the same, `but` for calls of these families."""
    done, expected = job(spec, ranks=ranks, **kw), plain_line() * ranks
    about = f"{spec} {kw}: exit {done.returncode}, {done.seconds:.1f} s\n{done.stdout}{done.stderr}"
    assert done.faults > 0, f"the fault never happened: {about}"
    assert done.returncode == 0, about
    output = [line for line in done.stdout.splitlines() if UCX not in line]
    assert sorted(output) == sorted(expected.splitlines()), (
        f"not {expected!r} but {done.stdout!r} {about}")
    messages = [line for line in done.stderr.splitlines() if UCX not in line]
    assert len(messages) <= most, about
    assert says is None or any(says in line for line in messages), f"no word of {says!r}: {about}"
    assert done.seconds < 15, about
    assert left or not done.left, f"left: {done.left}: {about}"
    if served:
        check_served(done.report, served, but, about)
    return done


# --- memory ------------------------------------------------------------------------------------------------------------


def test_every_allocation_fails():
    if "COVERAGE" in os.environ:
        pytest.skip("where lines are counted, libgcov's own allocations fail, too, and it does not check them")
    survives(f"malloc:1:{ALL}:ENOMEM", "failed")
    survives(f"calloc:1:{ALL}:ENOMEM", "failed")
    survives(f"realloc:1:{ALL}:ENOMEM", served=2, but="dir dl")


def test_one_allocation_fails():
    for name, rank, numbers in ("malloc", 0, (1, 2, 3)), ("malloc", 1, (1, 2)), ("realloc", 0, (1, 2)):
        for n in numbers:
            survives(f"{name}:{n}:1:ENOMEM", most=2, rank=rank, served=2, but="dl")
    for rank, numbers in (0, (1, 2, 3, 4, 5)), (1, (1, 2, 3)):  # at the start
        for n in numbers:
            survives(f"calloc:{n}:1:ENOMEM", most=2, rank=rank)


def test_the_index_cannot_be_mapped():
    survives("mmap:1:1:ENOMEM", rank=0, served=2)  # of the look at what is open
    survives("mmap:2:1:ENOMEM", rank=0, served=2)  # of the search for dead caches
    survives("mmap:3:1:ENOMEM", "cannot make a node cache", rank=0)
    survives("mmap:2:1:ENOMEM", "cannot attach", rank=1, served=1)


# --- the cache's place ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["mkdirat", "ftruncate", "fallocate"])
def test_no_room_at_the_start(call):
    survives(f"{call}:1:{ALL}:ENOSPC", "cannot make a node cache", rank=0)


def test_no_room_for_more_records():
    done = survives(f"fallocate:2:{ALL}:ENOSPC", rank=0, served=2, but="stat", program=PROGRAM + """
for n in range(40000):  # hidden names do not follow from the listing: each is a record
    os.path.exists(f"{place}/.{n}")
""")
    assert done.report["fallbacks"]["index full"] > 0 and done.report["calls"]["stat"]["served"] > 2 * usual_stats(), (
        f"{done.report}")


def test_no_room_for_files():
    survives(f"pwrite64:1:{ALL}:ENOSPC", "is full", rank=0, served=2, but="open")


def test_a_file_that_cannot_get_its_name():
    survives(f"renameat2:2:{ALL}:EIO", rank=0, served=2, but="open")


def test_no_lock():
    survives(f"flock:1:{ALL}:EAGAIN", "cannot make a node cache", rank=0)


# --- descriptors, threads ----------------------------------------------------------------------------------------------------


def test_no_descriptors():
    survives(f"openat:1:{ALL}:EMFILE", "cannot make a node cache")
    survives(f"openat:24:{ALL}:EMFILE", left=True, served=2, but="open path dir dl")  # until the next start
    survives(f"fcntl:1:{ALL}:EMFILE")


def test_no_threads():
    survives(f"pthread_create:1:{ALL}:EAGAIN", "cannot start a thread", most=2)
    survives(f"pthread_create:2:{ALL}:EAGAIN", rank=0, served=2, env={"FASTIMPORT_WAIT_MS": "4000"})


# --- the file system --------------------------------------------------------------------------------------------------------


def test_eio():
    survives(f"newfstatat:1:{ALL}:EIO", rank=0, path="/json/", served=2, but="stat path")
    for call, but in ("getdents64", "dir"), ("pread64", "open"):
        survives(f"{call}:3:{ALL}:EIO", rank=0, left=call == "getdents64", served=2, but=but)
    survives(f"readlink:1:{ALL}:EIO", rank=0)  # of the program: no root is found
    survives(f"openat:1:{ALL}:EIO", rank=0, path=".py", served=2, but="open path")
    survives(f"openat:1:{ALL}:EIO", rank=0, path="/usr/lib/python3")  # of a root: what is below it is not served


def test_short_reads():
    survives("pread64:2:2000:SHORT", rank=0, served=2)


def test_files_that_end_too_early():
    survives(f"pread64:2:{ALL}:EOF", rank=0, served=2, but="open")


# --- MPI ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function, rank", [("Session_init", 0), ("Group_from_session_pset", 1), ("Comm_create_from_group", 0), ("Comm_rank", 1),
            ("Iallgather", 0), ("Isend", 0), ("Irecv", 1), ("Ibcast", 0), ("Ibcast", 1)])
def test_mpi_fails_at_the_start(function, rank):
    survives(f"MPI_{function}:1:1:FAIL", most=2, rank=rank)


@pytest.mark.parametrize("function, rank", [("Issend", 0), ("Irecv", 1), ("Isend", 1), ("Test", 0), ("Test", 1)])
def test_mpi_fails_while_serving(function, rank):
    first = {"Issend": 6, "Irecv": 9, "Test": 60, "Isend": 1}[function]
    survives(f"MPI_{function}:{first}:1:FAIL", "failed", most=2, rank=rank, nodes=2)


def test_mpi_fails_at_the_end():
    for function in "Iallreduce", "Session_finalize":
        for rank in 0, 1:
            survives(f"MPI_{function}:1:1:FAIL", "close failed", most=1, rank=rank, served=2)
    for rank in 0, 1:
        survives("MPI_Iallreduce:1:1:FAIL", "close failed", most=1, rank=rank, nodes=2, served=2)


def test_the_service_thread_is_stuck():
    survives("MPI_Iallreduce:1:1:HANG", "stuck in MPI", rank=0, served=2)
    survives("MPI_Iallreduce:1:1:HANG", "stuck in MPI", rank=1, served=2)
    survives("MPI_Iallgather:1:1:HANG", "not all ranks have joined", most=2, rank=1)
