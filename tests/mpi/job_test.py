#!/usr/bin/python3
"""Whole jobs under libfastimport.so: real Pythons, real MPI ranks, emulated nodes on an emulated shared file system.

Each test is a function whose name begins with test_; give names as arguments to run only these. Needs root (mounts).
Closes with "N passed, N failed".
"""

import glob
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "bench/nodes"))
import sharedjob  # noqa: E402

BUILD = sharedjob.BUILD
LIBRARY = BUILD / "libfastimport.so"
MPIEXEC = "mpiexec.mpich"
SHARE = subprocess.check_output([ROOT / "bench/env/make-env"], text=True).strip()
PYTHON = f"{SHARE}/env/bin/python"

IMPORTS = "import numpy, scipy.linalg, scipy.sparse"
ALLREDUCE = f"""
{IMPORTS}
from mpi4py import MPI
total = MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank)
if MPI.COMM_WORLD.rank == 0:
    print("sum", total, scipy.linalg.det(numpy.eye(3)))
"""


def script(directory, text):
    path = pathlib.Path(directory, "app.py")
    path.write_text(textwrap.dedent(text))
    return path


# An NFS client with rsize=1M and the read-ahead that belongs to it: 15 x rsize (RHEL up to 8.2, SLES, Debian up to 10). How
# much of a library a plain run reads by page faults depends on it; bench/README.md has the other settings.
CLIENT = ["--read-only", "--readahead", "15360"]


def shared_job(text, ranks, nodes, preload=True, env=None):
    """The script as a job whose environment is on the shared file system; counting only, no latencies. Cold."""
    with tempfile.TemporaryDirectory() as scratch:
        return sharedjob.run([PYTHON, script(scratch, text)], SHARE, ranks, nodes, CLIENT,
                             env={"FASTIMPORT_PLAN": "off", **(env or {})}, preload=LIBRARY if preload else None, timeout=240)


def local_job(command, ranks=2, env=None, timeout=60):
    """A job on this node without the emulator; any file system is served."""
    settings = {"LD_PRELOAD": str(LIBRARY), "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", **(env or {})}
    words = [f"{k}={v}" for k, v in settings.items() if v is not None]
    return subprocess.run([MPIEXEC, "-n", str(ranks), "env", *words, *map(str, command)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout)


def plain_job(command, ranks=2, timeout=60):
    return subprocess.run([MPIEXEC, "-n", str(ranks), *map(str, command)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=timeout)


def python_job(text, ranks=2, env=None, **kw):
    with tempfile.TemporaryDirectory() as scratch:
        return local_job([PYTHON, script(scratch, text)], ranks, env, **kw)


def caches(base="/dev/shm"):
    return set(glob.glob(f"{base}/fastimport-{os.getuid()}-*"))


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def check_done(done, output=None, code=0):
    check(done.returncode == code, f"exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}")
    if output is not None:
        check(done.stdout == output, f"output {done.stdout!r}, not {output!r}\n{done.stderr}")
    check("fastimport" not in done.stderr, f"unexpected message: {done.stderr}")


# --- ratios ------------------------------------------------------------------------------------------------------


def exec_only(ranks, nodes):
    return sharedjob.run([PYTHON, "-c", "pass"], SHARE, ranks, nodes, CLIENT, preload=BUILD / "execonly.so")


def ratios(text, ranks, nodes):
    """Metadata and bytes of the job to those of one plain rank, both less what exec costs; with the two jobs."""
    base, base_exec = shared_job(text, 1, 1, preload=False), exec_only(1, 1)
    plain, job, job_exec = shared_job(text, ranks, nodes, preload=False), shared_job(text, ranks, nodes), exec_only(ranks, nodes)
    check(job.code == 0 and job.output == plain.output, f"exit {job.code}: {job.output!r}, not {plain.output!r}\n{job.errors}")
    check(job.report["nodes"] == nodes and job.report["ranks_reporting"] == ranks, f"{job.report['nodes']} nodes")
    metadata = (job.metadata_ops - job_exec.metadata_ops) / (base.metadata_ops - base_exec.metadata_ops)
    read = (job.read_bytes - job_exec.read_bytes) / (base.read_bytes - base_exec.read_bytes)
    print(f"    {ranks} ranks on {nodes} nodes: metadata {metadata:.3f}, bytes {read:.3f} (one rank: {base.metadata_ops} operations, "
          f"{base.read_bytes} bytes; exec only: {job_exec.metadata_ops}, {job_exec.read_bytes})", flush=True)
    return metadata, read


def check_ratios(ranks, nodes):
    metadata, read = ratios(ALLREDUCE, ranks, nodes)
    check(metadata <= 1.05, f"metadata ratio {metadata:.3f}")
    check(read <= 1.05, f"bytes ratio {read:.3f}")


def test_ratios_of_2_ranks_on_2_nodes():
    check_ratios(2, 2)


def test_ratios_of_8_ranks_on_4_nodes():
    check_ratios(8, 4)


def test_ratios_of_16_ranks_on_4_nodes():
    check_ratios(16, 4)


# --- the plan ------------------------------------------------------------------------------------------------------


class PlannedProgram:
    """A program with modules of its own in a root, run several times with one plan; local, so any change can be made."""

    def __init__(self, directory):
        self.place = pathlib.Path(directory, "site")
        self.place.mkdir()
        self.plan = pathlib.Path(directory, "plan")
        self.app = script(directory, """
            import importlib, importlib.util, os, sys
            values = [getattr(importlib.import_module(n), "value", None) if importlib.util.find_spec(n) else "-" for n in sys.argv[1:]]
            os.write(1, (" ".join(map(str, values)) + "\\n").encode())
            """)

    def write(self, name, value):
        (self.place / f"{name}.py").write_text(f"value = {value!r}\n")

    def run(self, *names, mode="", ranks=2, env=None):
        return local_job([PYTHON, self.app, *names], ranks, {
            "FASTIMPORT_PLAN": f"{mode}{self.plan}", "FASTIMPORT_PATH": str(self.place), "PYTHONPATH": str(self.place),
            "PYTHONDONTWRITEBYTECODE": "1", "FASTIMPORT_REPORT": str(self.plan) + ".json", **(env or {})})

    def report(self):
        return sharedjob.read_json(str(self.plan) + ".json")["plan"]


def planned(test):
    def run():
        with tempfile.TemporaryDirectory() as scratch:
            test(PlannedProgram(scratch))

    run.__name__ = test.__name__
    return run


def expect_lines(done, line, ranks=2):
    check_done(done, f"{line}\n" * ranks)


@planned
def test_a_warm_start_sees_what_changed(program):
    for name in "abc":
        program.write(name, name + "1")
    expect_lines(program.run("a", "b", "c", "d"), "a1 b1 c1 -")
    check(program.report()["entries"] == 0, "the first start is cold")
    expect_lines(program.run("a", "b", "c", "d"), "a1 b1 c1 -")
    second = program.report()
    check(second["entries"] > 50 and second["missed"] == 0, f"{second}")
    program.write("a", "edited, and longer")
    (program.place / "b.py").unlink()
    program.write("d", "new")
    expect_lines(program.run("a", "b", "c", "d"), "edited, and longer - c1 new")


@planned
def test_plan_modes(program):
    program.write("a", 1)
    expect_lines(program.run("a", mode="record:"), "1")
    recorded = program.plan.read_text()
    expect_lines(program.run("a", "json", mode="use:", ranks=4), "1 None", ranks=4)
    check(program.report()["entries"] > 50 and program.report()["missed"] > 0, str(program.report()))
    check(program.plan.read_text() == recorded, "use: must not write")
    expect_lines(program.run("a", env={"FASTIMPORT_PLAN": "off"}), "1")
    check(program.report()["file"] == "", "off must be off")


@planned
def test_a_bad_plan_is_one_warning(program):
    program.write("a", 1)
    expect_lines(program.run("a", mode="record:"), "1")
    good = program.plan.read_bytes()
    for bad, why in ((good[: len(good) // 2], "truncated or damaged"), (good.replace(b"json", b"jsom", 1) if b"json" in good else
                     good.replace(b"encodings", b"encodinsg", 1), "truncated or damaged"), (b"something else\n", "no plan"),
                     (b"", "no plan")):
        program.plan.write_bytes(bad)
        done = program.run("a", mode="use:")
        check(done.stdout == "1\n1\n" and done.returncode == 0, f"{done}")
        check(done.stderr.count("is not used") == 1 and why in done.stderr, f"{why}: {done.stderr}")
    program.plan.write_bytes(good)
    done = program.run("a", mode="use:", env={"FASTIMPORT_PATH": f"{program.place}:/opt"})
    check("another environment" in done.stderr and done.stdout == "1\n1\n", f"{done}")


@planned
def test_a_plan_that_cannot_be_written_is_one_warning(program):
    program.write("a", 1)
    done = program.run("a", env={"FASTIMPORT_PLAN": "/nonexistent/plan"})
    check(done.stdout == "1\n1\n" and done.returncode == 0, f"{done}")
    check(done.stderr.count("cannot be written") == 1, done.stderr)


@planned
def test_entries_age_out(program):
    program.write("a", 1)
    program.write("b", 2)
    expect_lines(program.run("a", "b"), "1 2")
    check("b.py" in program.plan.read_text(), "b is planned")
    for _ in range(6):
        expect_lines(program.run("a"), "1")
    check("/b.py" not in program.plan.read_text() and "/a.py" in program.plan.read_text(), "b should have aged out")


def test_ratios_warm_of_8_ranks_on_4_nodes():
    with tempfile.TemporaryDirectory() as scratch:
        app, plan = script(scratch, ALLREDUCE), f"{scratch}/plan"
        jobs = [sharedjob.run([PYTHON, app], SHARE, 8, 4, CLIENT, env={"FASTIMPORT_PLAN": plan}, preload=LIBRARY) for _ in range(2)]
    base, base_exec, job_exec = shared_job(ALLREDUCE, 1, 1, preload=False), exec_only(1, 1), exec_only(8, 4)
    metadata = (jobs[1].metadata_ops - job_exec.metadata_ops) / (base.metadata_ops - base_exec.metadata_ops)
    read = (jobs[1].read_bytes - job_exec.read_bytes) / (base.read_bytes - base_exec.read_bytes)
    print(f"    warm, 8 ranks on 4 nodes: metadata {metadata:.3f}, bytes {read:.3f}, {jobs[1].report['plan']}", flush=True)
    check(jobs[1].output == jobs[0].output == "sum 28 1.0\n" and jobs[1].code == 0, f"{jobs[1].output!r} {jobs[1].errors}")
    check(metadata <= 1.05 and read <= 1.05, "ratios")
    check(jobs[1].report["plan"]["missed"] == 0, "misses after the bulk")


# --- ranks that differ -------------------------------------------------------------------------------------------


def test_ranks_go_different_ways():
    job = shared_job("""
        import os, sys, time, subprocess
        rank = int(os.environ["PMI_RANK"])
        if rank == 0:
            time.sleep(5)
        if rank == 3:
            import scipy.sparse
        if rank == 2:
            subprocess.run([sys.executable, "-c", "import numpy; print('child', numpy.arange(3).sum())"], check=True)
        if rank != 1:
            import numpy
            print("rank", rank, numpy.arange(4).sum())
        """, 4, 2)
    check(job.code == 0, f"exit {job.code}\n{job.errors}")
    lines = sorted(job.output.split("\n"))
    check(lines == ["", "child 3", "rank 0 6", "rank 2 6", "rank 3 6"], f"{lines}\n{job.errors}")


def test_rank_0_leaves_first():
    job = shared_job("""
        import os, time
        if os.environ["PMI_RANK"] != "0":
            time.sleep(1)
            import numpy
            print("done")
        """, 4, 2)
    check(job.code == 0 and job.output == "done\n" * 3, f"exit {job.code}: {job.output!r}\n{job.errors}")


def test_a_rank_that_never_joins_is_not_waited_for():
    with tempfile.TemporaryDirectory() as scratch:
        app = script(scratch, "import json; print('here')")
        done = subprocess.run([MPIEXEC, "-n", "1", "env", f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all", "FASTIMPORT_JOIN_MS=1500",
                               PYTHON, str(app), ":", "-n", "1", "sleep", "4"], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60)
    check(done.stdout == "here\n", f"{done.stdout!r}\n{done.stderr}")
    check(done.stderr.count("not all ranks have joined") == 1, done.stderr)


# --- ways to start and to end ------------------------------------------------------------------------------------


def test_mpiexec_under_the_preload():
    with tempfile.TemporaryDirectory() as scratch:
        app = script(scratch, ALLREDUCE)
        done = subprocess.run([MPIEXEC, "-n", "2", PYTHON, str(app)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60, env={**os.environ, "LD_PRELOAD": str(LIBRARY), "FASTIMPORT_FS": "all"})
    check_done(done, "sum 1 1.0\n")


def test_nodes_are_told_by_mpi_where_the_launcher_does_not_tell():
    with tempfile.TemporaryDirectory() as scratch:
        report = f"{scratch}/report"
        done = subprocess.run([MPIEXEC, "-pmi-port", "-n", "3", "env", f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all", "FASTIMPORT_PLAN=off",
                               f"FASTIMPORT_REPORT={report}", PYTHON, script(scratch, ALLREDUCE)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=60)
        check_done(done, "sum 3 1.0\n")
        check(sharedjob.read_json(report)["nodes"] == 1 and sharedjob.read_json(report)["ranks_reporting"] == 3, "one node of three ranks")


def test_through_a_shell():
    done = local_job(["bash", "-c", f"{PYTHON} -c 'import json; print(len(json.dumps([])))'; exit 4"])
    check(done.returncode == 4 and done.stdout == "2\n2\n", f"{done.returncode} {done.stdout!r} {done.stderr}")


def test_two_pythons_one_after_the_other():
    done = local_job(["bash", "-c", f"{PYTHON} -c 'import json; print(1)' && {PYTHON} -c 'import json; print(2)'"])
    check_done(done, None)
    check(sorted(done.stdout) == sorted("1\n2\n1\n2\n"), done.stdout)


def test_two_pythons_at_once():
    done = local_job(["bash", "-c", f"{PYTHON} -c 'import json; print(1)' & {PYTHON} -c 'import json; print(1)'; wait"])
    check_done(done, "1\n" * 4)


def test_exit_codes():
    for text, code in (("import sys, json; sys.exit(3)", 3), ("import os, json; os._exit(5)", 5), ("import json; 1/0", 1),
                       ("import os, json; os._exit(0)", 0), ("import json", 0),
                       ("import sys; from mpi4py import MPI; sys.exit(7)", 7)):
        done = python_job(text)
        check(done.returncode == code, f"{text}: exit {done.returncode}, not {code}: {done.stderr}")


def test_one_rank_fails():
    start = time.monotonic()
    done = python_job("""
        import os, sys, time, json
        if os.environ["PMI_RANK"] == "1":
            sys.exit(9)
        time.sleep(20)
        """)
    check(done.returncode == 9, f"exit {done.returncode}: {done.stderr}")
    check(time.monotonic() - start < 15, "the job outlived its failed rank")


def test_mpi_abort():
    done = python_job("from mpi4py import MPI; MPI.COMM_WORLD.Abort(6)")
    check(done.returncode == 6, f"exit {done.returncode}: {done.stderr}")


def test_programs_that_are_not_ours():
    for command in (["ls", "/"], ["bash", "-c", "echo $((6 * 7)); exit 0"], ["env", "FASTIMPORT=0", PYTHON, "-c", "import json; print(1)"]):
        plain, job = plain_job(command), local_job(command)
        check_done(job, plain.stdout, plain.returncode)
        check(job.stderr == plain.stderr, job.stderr)


def test_mpi_state_is_the_programs():
    done = python_job("""
        import mpi4py, os
        mpi4py.rc.initialize = False
        mpi4py.rc.finalize = False
        from mpi4py import MPI
        before = MPI.Is_initialized()
        MPI.Init_thread(MPI.THREAD_FUNNELED)
        between = MPI.Is_initialized(), MPI.Is_finalized(), MPI.COMM_WORLD.allreduce(1)
        MPI.Finalize()
        os.write(1, f"{before} {between} {MPI.Is_finalized()}\\n".encode())
        """)
    check_done(done, "False (True, False, 2) True\n" * 2)


def test_with_the_wheels_of_mpich_and_mpi4py():
    """The newest MPICH and mpi4py of PyPI in one environment, started by that MPICH's own mpiexec."""
    wheel = subprocess.check_output([ROOT / "bench/env/make-env", "--mpi", "wheel"], text=True).strip()
    with tempfile.TemporaryDirectory() as scratch:
        report = f"{scratch}/report"
        for ranks in 1, 2, 4:
            done = subprocess.run([f"{wheel}/env/bin/mpiexec", "-n", str(ranks), "env", f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all",
                                   "FASTIMPORT_PLAN=off", f"FASTIMPORT_REPORT={report}", f"{wheel}/env/bin/python",
                                   script(scratch, ALLREDUCE)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
            check_done(done, f"sum {sum(range(ranks))} 1.0\n")
            facts = sharedjob.read_json(report)
            check(facts["ranks_reporting"] == ranks and facts["calls"]["open"]["served"] > 100 * ranks, str(facts))
            print(f"    {ranks} ranks with {facts['mpi']}", flush=True)


# --- children ----------------------------------------------------------------------------------------------------


def test_children():
    done = python_job("""
        import multiprocessing, os, subprocess, sys
        def work(x):
            import decimal
            return int(decimal.Decimal(x) * 2)
        if __name__ == "__main__":
            for method in "fork", "spawn", "forkserver":
                with multiprocessing.get_context(method).Pool(2) as pool:
                    assert pool.map(work, [1, 2, 3]) == [2, 4, 6]
            bare = subprocess.run([sys.executable, "-c", "import json; print(3)"], env={}, capture_output=True, text=True)
            assert bare.stdout == "3\\n", bare
            pid = os.fork()
            if pid == 0:
                import fractions
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
            print("good")
        """, timeout=120)
    check_done(done, "good\ngood\n")


def test_a_rank_that_calls_exec():
    """The new program may use MPI, or not: then nobody but us can tell the launcher that MPI is closed."""
    for after in ("os.write(1, b'ran\\n')", "from mpi4py import MPI; os.write(1, b'ran\\n' * MPI.COMM_WORLD.allreduce(1))"):
        before = caches()
        done = python_job(f"""
            import os, sys
            if len(sys.argv) == 1:
                os.execv(sys.executable, [sys.executable, sys.argv[0], "again"])
            import json
            {after}
            """)
        check_done(done, "ran\n" * (4 if "MPI" in after else 2))
        check(caches() <= before, f"left: {caches() - before}")


# --- nothing is left behind --------------------------------------------------------------------------------------


def test_nothing_is_left_after_the_end():
    before = caches()
    check_done(python_job("import json"))
    check(caches() <= before, f"left: {caches() - before}")


def test_sigkill_leaves_nothing_after_the_next_start():
    before = caches()
    for victim in (0, 1):
        job = subprocess.Popen([MPIEXEC, "-n", "2", "env", f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all", PYTHON, "-c",
                                "import os, time, json; print(os.environ['PMI_RANK'], os.getpid(), flush=True); time.sleep(30)"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        pids = dict(job.stdout.readline().split() for _ in range(2))
        os.kill(int(pids[str(victim)]), signal.SIGKILL)
        job.communicate(timeout=30)
        check(job.returncode != 0, "the job did not notice")
    check_done(python_job("import json"))
    check(caches() <= before, f"left: {caches() - before}")


def test_a_full_cache_directory():
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", scratch], check=True)
        try:
            done = python_job(ALLREDUCE, env={"FASTIMPORT_DIR": scratch})
            check(done.returncode == 0 and done.stdout == "sum 1 1.0\n", f"{done.returncode} {done.stdout} {done.stderr}")
            check("is full" in done.stderr or "cannot" in done.stderr, f"no warning: {done.stderr!r}")
            check(done.stderr.count("fastimport") <= 2, done.stderr)
        finally:
            subprocess.run(["umount", scratch], check=True)


def test_no_place_for_a_cache():
    done = python_job(ALLREDUCE, env={"FASTIMPORT_DIR": "/nonexistent"})
    check(done.returncode == 0 and done.stdout == "sum 1 1.0\n", f"{done.returncode} {done.stdout} {done.stderr}")
    check(done.stderr.count("/nonexistent") == 1, done.stderr)


def test_no_mpi_library():
    done = python_job("import json; print('on')", env={"FASTIMPORT_MPI": "/nonexistent/libmpi.so"})
    check(done.returncode == 0 and done.stdout == "on\n" * 2, f"{done.returncode} {done.stdout} {done.stderr}")
    check("cannot load an MPI library" in done.stderr, done.stderr)


def test_bad_settings_are_named_once():
    done = python_job("import json", env={"FASTIMPORT_WAIT_MS": "soon", "FASTIMPORT_FS": "some"})
    check(done.returncode == 0, done.stderr)
    for name in ("FASTIMPORT_WAIT_MS=soon", "FASTIMPORT_FS=some"):
        check(done.stderr.count(name) == 1, done.stderr)


def test_written_files_are_seen():
    with tempfile.TemporaryDirectory() as scratch:
        done = python_job("""
            import os, sys
            place = sys.argv[1] if len(sys.argv) > 1 else os.environ["PLACE"]
            name = f"{place}/new-{os.environ['PMI_RANK']}"
            assert not os.path.exists(name)
            with open(name, "w") as f:
                f.write("text")
            assert open(name).read() == "text" and os.path.basename(name) in os.listdir(place)
            os.rename(name, name + "b")
            assert not os.path.exists(name) and os.stat(name + "b").st_size == 4
            os.unlink(name + "b")
            assert not os.path.exists(name + "b")
            """, env={"PLACE": scratch, "FASTIMPORT_PATH": scratch})
        check_done(done)


def run_all(names):
    tests = {n: f for n, f in globals().items() if n.startswith("test_") and (not names or n in names)}
    failed = 0
    for name, test in tests.items():
        start = time.monotonic()
        try:
            test()
            print(f"ok    {name} ({time.monotonic() - start:.1f} s)", flush=True)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            failed += 1
            print(f"FAIL  {name}: {error}", flush=True)
        except Exception:  # a test that cannot run has failed, too
            failed += 1
            print(f"FAIL  {name}: {traceback.format_exc()}", flush=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(run_all(sys.argv[1:]))
