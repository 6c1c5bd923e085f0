# SPDX-License-Identifier: BSD-3-Clause
"""A storm of 200 libraries (bench/libstorm) on 4 emulated nodes whose environment is on the emulated shared file system.

Cold, 8 ranks, both variants: operations and bytes at the file system's server against those of one plain rank; what ld.so
opens in ranks other than 0, by strace; how the ranks of a node share a library's text, from smaps; what gdb sees.
"""

import functools
import pathlib
import re
import statistics
import subprocess
import tempfile

import pytest
from job import CLIENT, ENVIRONMENT, LIBRARY, PYTHON, ROOT, sharedjob

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")

STORM = f"{ENVIRONMENT}/storm200"
RANKS, NODES = 8, 4


@functools.cache
def variables():
    """Makes the storm. Returns the variables of its jobs."""
    subprocess.run([ROOT / "bench/libstorm/storm_gen", "-n", "150", "-f", "20", "-u", "50", "-e", "20", STORM], check=True, stdout=subprocess.DEVNULL)
    target = pathlib.Path(STORM, "storm.py")
    target.write_bytes((ROOT / "bench/libstorm/storm.py").read_bytes())
    path = pathlib.Path(STORM, "ld_library_path").read_text().strip()
    return {"LD_LIBRARY_PATH": path, "FASTIMPORT_PLAN": "off", "FASTIMPORT_PATH": STORM}


def job(command, ranks, nodes, preload, exported=None):
    done = sharedjob.run(command, ENVIRONMENT, ranks, nodes, CLIENT, env=variables(), preload=preload, exported=exported, timeout=240)
    assert done.code == 0, f"exit {done.code}: {done.output}{done.errors}"
    return done


def preloaded(command):
    """`LD_PRELOAD=libfastimport.so mpiexec ...`, as the README has it, with LD_LIBRARY_PATH set for the launcher, too."""
    return job(command, RANKS, NODES, None, variables() | {"LD_PRELOAD": str(LIBRARY)})


MPI_PROGRAM = """
#include <mpi.h>
int main(void) { return MPI_Init(0, 0) || MPI_Finalize(); }
"""


@functools.cache
def cost_of_mpi():
    """Operations and bytes of a bare MPI start: ld.so searches LD_LIBRARY_PATH for each library that MPI and its plugins need."""
    with tempfile.TemporaryDirectory() as scratch:
        source = pathlib.Path(scratch, "bare.c")
        source.write_text(MPI_PROGRAM)
        subprocess.run(["mpicc.mpich", "-o", f"{scratch}/bare", source], check=True)
        bare, nothing = job([f"{scratch}/bare"], RANKS, NODES, None), job(["/bin/true"], RANKS, NODES, None)
    return bare.metadata_ops - nothing.metadata_ops, bare.read_bytes - nothing.read_bytes


def cost(job_of):
    """The medians of three runs, and the last run. Now and then a kernel reads a page twice because two processes fault it in at once."""
    jobs = [job_of() for _ in range(3)]
    return statistics.median(j.metadata_ops for j in jobs), statistics.median(j.read_bytes for j in jobs), jobs[-1]


@functools.cache
def cost_of_exec(ranks, nodes, launcher_has_variables):
    """The cost of what precedes the library's constructor: the ranks end there, under the same launcher."""
    return cost(lambda: job([PYTHON, "-c", "pass"], ranks, nodes, sharedjob.EXEC_ONLY, variables() if launcher_has_variables else None))


def assert_ratios(variant):
    command = [PYTHON, f"{STORM}/storm.py", STORM, variant]
    base_ops, base_bytes, _ = cost(lambda: job(command, 1, 1, None))
    base_exec_ops, base_exec_bytes, _ = cost_of_exec(1, 1, False)
    ops, read_bytes, storm = cost(lambda: preloaded(command))
    exec_ops, exec_bytes, _ = cost_of_exec(RANKS, NODES, True)
    assert storm.output.count(" ok ") == RANKS, storm.output
    metadata, read = (ops - exec_ops) / (base_ops - base_exec_ops), (read_bytes - exec_bytes) / (base_bytes - base_exec_bytes)
    dl, fallbacks = storm.report["calls"]["dl"], storm.report["fallbacks"]
    print(f"    {variant}: metadata {metadata:.3f}, bytes {read:.3f} (one rank: {base_ops - base_exec_ops} operations, {base_bytes - base_exec_bytes} bytes; "
          f"exec: {exec_ops}; a bare MPI start without fastimport: {cost_of_mpi()[0]}); dlopen {dl}, fallbacks {fallbacks}", flush=True)
    assert metadata <= 1.05 and read <= 1.05, f"metadata {metadata:.3f}, bytes {read:.3f}"
    assert fallbacks["library"] == 0 and dl["served"] >= RANKS, f"{dl} {fallbacks}"


def test_ratios_of_one_dlopen():
    assert_ratios("needed")


def test_ratios_of_many_modules():
    assert_ratios("modules")


def opened(log):
    """What a rank opened in the environment after it had joined, that is, had opened the node cache."""
    text = pathlib.Path(log).read_text(errors="replace")
    joined = re.search(r"/dev/shm/fastimport-[0-9]+-[0-9a-f]+/", text)  # the ranks' count before is no node cache
    assert joined is not None, f"{log}: the rank never opened a node cache"
    return [m for m in re.findall(r'open(?:at)?\([^"]*"([^"]*)"', text[joined.start():]) if m.startswith(ENVIRONMENT)]


def assert_others_open_nothing(variant):
    with tempfile.TemporaryDirectory() as scratch:
        line = f'exec strace -f -qq -e trace=open,openat -o {scratch}/$PMI_RANK {PYTHON} {STORM}/storm.py {STORM} {variant}'
        job(["sh", "-c", line], RANKS, NODES, LIBRARY)
        counts = [len(opened(f"{scratch}/{rank}")) for rank in range(RANKS)]
        print(f"    {variant}: opened below {ENVIRONMENT} after joining, by rank: {counts}", flush=True)
        first = [name for rank in range(1, RANKS) for name in opened(f"{scratch}/{rank}")][:5]
        assert counts[0] > 0, "rank 0 opened nothing: this test is blind"
        assert not any(counts[1:]), f"ranks other than 0 opened {first}"


@pytest.mark.needs("strace")
def test_ranks_open_nothing_for_one_dlopen():
    assert_others_open_nothing("needed")


@pytest.mark.needs("strace")
def test_ranks_open_nothing_for_many_modules():
    assert_others_open_nothing("modules")


WAITING = """
import ctypes, os, sys, time
sys.path.insert(0, {storm!r})
import storm000
storm000.run()
os.write(1, b"%d\\n" % os.getpid())
time.sleep(12)
"""


def local(ranks, text):
    words = {**variables(), "LD_PRELOAD": str(LIBRARY), "FASTIMPORT_FS": "all"}
    return subprocess.Popen(["mpiexec.mpich", "-n", str(ranks), "env", *[f"{k}={v}" for k, v in words.items()], PYTHON, "-c", text],
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def text_of_storm(pid):
    """Rss, Pss and private bytes (KiB) of the executable mapping of storm000.so."""
    found = {}
    inside = False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            inside = "r-xp" in line and line.endswith("/storm000.so")
        elif inside and line.split(":")[0] in ("Rss", "Pss", "Private_Clean", "Private_Dirty"):
            found[line.split(":")[0]] = found.get(line.split(":")[0], 0) + int(line.split()[1])
    return found


@pytest.mark.needs("gdb")
def test_text_is_shared_and_gdb_knows_names():
    process = local(2, WAITING.format(storm=STORM))
    pids = [int(process.stdout.readline()) for _ in range(2)]
    try:
        shares = [text_of_storm(pid) for pid in pids]
        print(f"    text of storm000.so, KiB: {shares}", flush=True)
        for share in shares:
            assert share.get("Rss", 0) > 0 and share["Pss"] <= share["Rss"] / 2 + 1, f"not shared: {shares}"
            assert share["Private_Clean"] + share["Private_Dirty"] == 0, f"private: {shares}"
        done = subprocess.run(["gdb", "-q", "-batch", "-ex", "set debuginfod enabled off", "-ex", "info sharedlibrary", "-ex",
                               "info symbol PyInit_storm000", "-p", str(pids[1])], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        names = [line.split()[-1] for line in done.stdout.splitlines() if "storm000.so" in line and line.startswith("0x")]
        assert names == [f"{STORM}/storm000.so"], f"gdb names {names}\n{done.stdout[-800:]}{done.stderr[-500:]}"
        assert f"PyInit_storm000 in section .text of {STORM}/storm000.so" in done.stdout, done.stdout[-800:]
        assert "/dev/shm/fastimport-" not in done.stdout + done.stderr, done.stdout + done.stderr
    finally:
        process.terminate()
        process.communicate(timeout=30)
