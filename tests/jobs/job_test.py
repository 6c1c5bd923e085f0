# SPDX-License-Identifier: BSD-3-Clause
"""Whole jobs of Pythons and MPI programs: how they may start and end, what stands around them, and that nothing is left behind."""

import os
import pathlib
import signal
import subprocess
import tempfile
import time

import pytest
from job import (ALLREDUCE, BUILD, FROM_INIT, LIBRARY, MPIEXEC, NO_INIT, PYTHON, ROOT, assert_done, caches, local_job,
                 plain_job, python_job, same_output, script, shared_job, sharedjob)

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")

# --- ranks that differ -------------------------------------------------------------------------------------------


def test_ranks_go_different_ways():
    job = shared_job("""
        import os, sys, time, subprocess
        rank = int(os.environ["PMI_RANK"])
        if rank == 0:
            time.sleep(2)
        if rank == 3:
            import scipy.sparse
        if rank == 2:
            subprocess.run([sys.executable, "-c", "import numpy; print('child', numpy.arange(3).sum())"], check=True)
        if rank != 1:
            import numpy
            print("rank", rank, numpy.arange(4).sum())
        """, 4, 2)
    assert job.code == 0, f"exit {job.code}\n{job.errors}"
    lines = sorted(job.output.split("\n"))
    assert lines == ["", "child 3", "rank 0 6", "rank 2 6", "rank 3 6"], f"{lines}\n{job.errors}"


def test_rank_0_leaves_first():
    job = shared_job("""
        import os, time
        if os.environ["PMI_RANK"] != "0":
            time.sleep(1)
            import numpy
            os.write(1, b"done\\n")
        """, 4, 2)
    assert job.code == 0 and job.output == "done\n" * 3, f"exit {job.code}: {job.output!r}\n{job.errors}"


def test_a_rank_that_never_joins_is_not_waited_for(scratch):
    app = script(scratch, "import json; print('here')")
    done = subprocess.run([MPIEXEC, "-n", "1", "env", f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all", "FASTIMPORT_JOIN_MS=1000",
                           PYTHON, str(app), ":", "-n", "1", "sleep", "2"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=60)
    assert done.stdout == "here\n", f"{done.stdout!r}\n{done.stderr}"
    assert done.stderr.count("not all ranks have joined") == 1, done.stderr


# --- ways to start and to end ------------------------------------------------------------------------------------


def test_mpiexec_under_the_preload(scratch):
    app = script(scratch, ALLREDUCE)
    done = subprocess.run([MPIEXEC, "-n", "2", PYTHON, str(app)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60, env={**os.environ, "LD_PRELOAD": str(LIBRARY), "FASTIMPORT_FS": "all"})
    assert_done(done, "sum 1 1.0\n")


def test_beside_what_others_preload():
    """An allocator, and a library that wraps open(2) as fastimport does, stand before it and behind it: all work, and as much is served."""
    served = []
    for other in "libjemalloc.so.2", "libeatmydata.so.1":
        for preloads in (LIBRARY, other), (other, LIBRARY):
            with tempfile.TemporaryDirectory() as scratch:
                done = python_job(f"""
                    import json, subprocess, sys
                    {ALLREDUCE.strip().replace(chr(10), chr(10) + " " * 20)}
                    maps = open("/proc/self/maps").read()
                    assert "{other[:-2]}" in maps and "libfastimport.so" in maps, maps
                    subprocess.run([sys.executable, "-c", "import decimal"], check=True)
                    """, env={"LD_PRELOAD": ":".join(map(str, preloads)), "FASTIMPORT_REPORT": f"{scratch}/report"})
                assert_done(done, "sum 1 1.0\n")
                calls = sharedjob.read_json(f"{scratch}/report")["calls"]
                served.append((calls["open"]["served"], calls["dl"]["served"]))
    for few, many in zip(map(min, zip(*served)), map(max, zip(*served))):
        assert few > 20 and few >= 0.98 * many, f"{served}"


@pytest.mark.parametrize("served", ["all", "net"])
def test_a_job_within_a_rank(served, scratch):
    """A rank starts mpiexec: that is a job of its own, and is served."""
    done = python_job(f"""
        import os, subprocess, sys
        for name in "PMI_FD", "PMI_RANK", "PMI_SIZE":
            del os.environ[name]
        os.environ.update(FASTIMPORT_FS="all", FASTIMPORT_REPORT="{scratch}/report")
        inner = "from mpi4py import MPI; import os; os.write(1, b'inner %d\\\\n' % MPI.COMM_WORLD.allreduce(1))"
        subprocess.run(["{MPIEXEC}", "-n", "2", sys.executable, "-c", inner], check=True)
        """, ranks=1, env={"FASTIMPORT_FS": served})
    assert_done(done, "inner 2\n" * 2)
    assert sharedjob.read_json(f"{scratch}/report")["ranks_reporting"] == 2, "the inner job was not served"


def test_nodes_are_told_by_mpi_where_the_launcher_does_not_tell(scratch):
    report = f"{scratch}/report"
    done = subprocess.run([MPIEXEC, "-pmi-port", "-n", "3", "env", f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all", "FASTIMPORT_PLAN=off",
                           f"FASTIMPORT_REPORT={report}", PYTHON, script(scratch, ALLREDUCE)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert_done(done, "sum 3 1.0\n")
    assert sharedjob.read_json(report)["nodes"] == 1 and sharedjob.read_json(report)["ranks_reporting"] == 3, (
        "one node of three ranks")


@pytest.mark.parametrize("words", [[MPIEXEC, "-pmi-port", "-n", "1", "env"], ["env", "PALS_RANKID=0"]], ids=["mpiexec", "no launcher"])
def test_one_rank_whose_launcher_tells_nothing(words, scratch):
    """MPI has no other process to communicate with, and must not be asked for one: MPICH 4.0.2 would crash."""
    app = script(scratch, "import json, decimal; print(len(json.dumps([1])))")
    report = pathlib.Path(scratch, "report")
    done = subprocess.run([*words, f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all", "FASTIMPORT_PLAN=off", f"FASTIMPORT_REPORT={report}",
                           PYTHON, str(app)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert_done(done, "3\n")
    facts = sharedjob.read_json(report)
    assert (facts["ranks"], facts["nodes"]) == (1, 1) and facts["calls"]["open"]["served"] > 0, f"{facts}"


def test_tasks_that_mpi_does_not_bring_together(scratch, cache_place):
    """srun --mpi=none starts such tasks. One line a step says so, and nothing is served, to children neither; they leave MPI alone, too."""
    app = script(scratch, """
        import json, subprocess, sys
        if len(sys.argv) == 1:
            subprocess.run([sys.executable, __file__, "child"], check=True)
            from mpi4py import MPI
            print("size", MPI.COMM_WORLD.size)
        """)
    step = {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "3", "SLURM_STEP_NUM_TASKS": "3", "SLURM_NODEID": "0"}
    settings = {"LD_PRELOAD": str(LIBRARY), "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", "FASTIMPORT_DIR": cache_place}
    tasks = [subprocess.Popen([PYTHON, app], env={**os.environ, **step, **settings, "SLURM_PROCID": str(rank)}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for rank in range(3)]
    done = [(*task.communicate(timeout=60), task.returncode) for task in tasks]
    assert [(output, code) for output, _, code in done] == [("size 1\n", 0)] * 3, f"{done}"
    said = "".join(errors for _, errors, _ in done)
    assert said.count("fastimport: ") == 1 and "has started 3 tasks, but MPI finds 1" in said and "srun --mpi=pmi2" in said, (
        said)
    assert not caches(cache_place), f"left: {caches(cache_place)}"
    # A step of one task is no such step, nor is a job of one rank whose daemon is one of several tasks.
    for more in ({"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}, {"SLURM_PROCID": "0", "PMI_RANK": "0", "PMI_SIZE": "1"}):
        done = subprocess.run([PYTHON, app], env={**os.environ, **step, **settings, **more}, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60)
        assert_done(done, "size 1\n")


def test_through_a_shell():
    done = local_job(["bash", "-c", f"{PYTHON} -c 'import json; print(len(json.dumps([])))'; exit 4"])
    assert done.returncode == 4 and same_output(done.stdout, "2\n2\n"), f"{done.returncode} {done.stdout!r} {done.stderr}"


AT_START = {"FASTIMPORT_BELOW_SHELL": "start"}


def test_two_pythons_one_after_the_other():
    done = local_job(["bash", "-c", f"{PYTHON} -c 'import json; print(1)' && {PYTHON} -c 'import json; print(2)'"], env=AT_START)
    assert_done(done, None)
    assert same_output(done.stdout, "1\n2\n1\n2\n"), done.stdout


def test_two_pythons_at_once():
    done = local_job(["bash", "-c", f"{PYTHON} -c 'import json; print(1)' & {PYTHON} -c 'import json; print(1)'; wait"], env=AT_START)
    assert_done(done, None)
    assert same_output(done.stdout, "1\n" * 4), done.stdout


SUM = "from mpi4py import MPI; print(MPI.COMM_WORLD.allreduce(1)); import decimal, email.mime.text"


def test_programs_of_one_script(scratch):
    """A slot starts MPI once: the program that uses MPI must find the slot unused."""
    text = f"{PYTHON} -c 'import json'; {PYTHON} -c '{SUM}'; {PYTHON} -c 'import json, os; os.system(\"{PYTHON} -c pass\")'; exit 4"
    file = script(scratch, f"#!/bin/bash\n{text}\n")
    file.chmod(0o755)
    for command in ["bash", "-c", text], [file]:
        for served, messages in ("all", 1), ("net", 0):
            done = local_job(command, env={"FASTIMPORT_FS": served})
            assert done.returncode == 4 and same_output(done.stdout, "2\n2\n"), (
                f"{command} exit {done.returncode}: {done.stdout}{done.stderr}")
            assert (done.stderr.count(FROM_INIT) == messages and done.stderr.count(NO_INIT) == messages and
                  done.stderr.count("fastimport") == 2 * messages), done.stderr  # the third comes too late for MPI


def test_what_a_script_leaves_running():
    """The parent of the background program has ended, so that nothing shows whose child it was. It must not use MPI."""
    text = f"({PYTHON} -c 'import time; time.sleep(2)' &); sleep 0.5; exec {PYTHON} -c '{SUM}'"
    done = local_job(["bash", "-c", text], env={"FASTIMPORT_FS": "net"})
    assert_done(done)
    assert same_output(done.stdout, "2\n2\n"), done.stdout


def test_a_program_below_a_shell_changes_its_arguments():
    """It changes its working directory, too, before it calls MPI_Init. What counts is how it was started."""
    with tempfile.TemporaryDirectory() as scratch, tempfile.TemporaryDirectory() as apps:
        (pathlib.Path(apps) / "late.py").write_text("")
        script(apps, """
            import os
            os.chdir("/")
            from mpi4py import MPI
            import late
            os.write(1, b"%d\\n" % MPI.COMM_WORLD.allreduce(1))
            """)
        done = local_job(["bash", "-c", f"cd {apps}; {PYTHON} app.py; true"], env={"FASTIMPORT_REPORT": f"{scratch}/report"})
        assert done.returncode == 0 and same_output(done.stdout, "2\n2\n"), f"exit {done.returncode}: {done.stdout}{done.stderr}"
        roots = sharedjob.read_json(f"{scratch}/report")["roots"]
        assert any(apps in str(root) for root in roots), f"{apps} is none of {roots}"
        done = local_job(["bash", "-c", f"{BUILD}/tests/jobs/mpi_sum -a -b; true"], env={"FASTIMPORT_PATH": apps, "FASTIMPORT_PLAN": f"{scratch}/plan"})
        assert done.returncode == 0 and done.stdout == "sum 1\n" * 2, f"exit {done.returncode}: {done.stdout}{done.stderr}"


def test_below_a_shell():
    """A program is served from MPI_Init on, or from its start where FASTIMPORT_BELOW_SHELL says that nothing else uses MPI."""
    served = []
    for settings in {}, AT_START:
        with tempfile.TemporaryDirectory() as scratch:
            done = local_job(["bash", "-c", f"{PYTHON} -c '{SUM}'; true"], env={"FASTIMPORT_REPORT": f"{scratch}/report", **settings})
            assert done.returncode == 0 and same_output(done.stdout, "2\n2\n"), (
                f"exit {done.returncode}: {done.stdout}{done.stderr}")
            assert done.stderr.count(FROM_INIT) == done.stderr.count("fastimport") == (0 if settings else 1), done.stderr
            report = sharedjob.read_json(f"{scratch}/report")
            assert report["ranks_reporting"] == 2 and sum(report["fallbacks"].values()) == 0, str(report)
            served.append(report["calls"]["open"]["served"])
    assert 20 < served[0] < served[1], f"{served}"


def test_a_signal_below_a_shell():
    """A program that does not use MPI may be killed, and its script goes on, as without the library."""
    killed = "import os, json; os.kill(os.getpid(), 9 if os.environ['PMI_RANK'] == '1' else 15)"
    for served in "all", "net":
        done = local_job(["bash", "-c", f'{PYTHON} -c "{killed}"; sleep 1; echo on'], ranks=3, env={"FASTIMPORT_FS": served})
        assert done.returncode == 0 and same_output(done.stdout, "on\n" * 3), (
            f"exit {done.returncode}: {done.stdout}{done.stderr}")


@pytest.mark.parametrize("text, code", [("import sys, json; sys.exit(3)", 3), ("import os, json; os._exit(5)", 5), ("import json; 1/0", 1),
                       ("import os, json; os._exit(0)", 0), ("import json", 0),
                       ("import sys; from mpi4py import MPI; sys.exit(7)", 7)])
def test_exit_codes(text, code):
    done = python_job(text)
    assert done.returncode == code, f"{text}: exit {done.returncode}, not {code}: {done.stderr}"


def is_lost_by_mpiexec(done):
    """Whether mpiexec of MPICH 4.0 returned 1 because it reaped a rank before it had read the end of its PMI connection. It does so without the
    library, too (https://github.com/pmodels/mpich/issues/7057)."""
    return done.returncode == 1 and "EXIT STRING: Hangup (signal 1)" in done.stdout


@pytest.mark.parametrize("first, output", [("pass", "on\n"), ("from mpi4py import MPI", "")], ids=["without MPI", "with MPI"])
def test_one_rank_fails(first, output):
    """The others go on if the rank has not initialised MPI, as without the library. If it has, the launcher ends the job."""
    start = time.monotonic()
    done = python_job(f"""
        import os, sys, time, json
        {first}
        if os.environ["PMI_RANK"] == "1":
            os._exit(9)
        time.sleep({1 if output else 20})
        os.write(1, b"on\\n")
        """)
    assert done.stdout.startswith(output), done.stdout
    assert done.returncode == 9 or (not output and is_lost_by_mpiexec(done)), (
        f"exit {done.returncode}: {done.stdout} {done.stderr}")
    assert time.monotonic() - start < 15, "the job outlived its failed rank"


def test_mpi_abort():
    done = python_job("from mpi4py import MPI; MPI.COMM_WORLD.Abort(6)")
    assert done.returncode == 6, f"exit {done.returncode}: {done.stderr}"


@pytest.mark.parametrize("command", [["ls", "/"], ["bash", "-c", "echo $((6 * 7)); exit 0"], ["env", "FASTIMPORT=0", PYTHON, "-c", "import os; os.write(1, b'1\\n')"]],
                         ids=["ls", "bash", "switched off"])
def test_programs_that_are_not_ours(command):
    plain, job = plain_job(command), local_job(command)
    assert_done(job, plain.stdout, plain.returncode)
    assert job.stderr == plain.stderr, job.stderr


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
    assert_done(done, "False (True, False, 2) True\n" * 2)


def test_with_the_wheels_of_mpich_and_mpi4py(scratch):
    """The newest MPICH and mpi4py of PyPI in one environment, started by that MPICH's own mpiexec."""
    wheel = subprocess.check_output([ROOT / "bench/env/make-env", "--mpi", "wheel"], text=True).strip()
    report = f"{scratch}/report"
    for ranks in 1, 2, 4:
        done = subprocess.run([f"{wheel}/env/bin/mpiexec", "-n", str(ranks), "env", f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all",
                               "FASTIMPORT_PLAN=off", f"FASTIMPORT_REPORT={report}", f"{wheel}/env/bin/python",
                               script(scratch, ALLREDUCE)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
        assert_done(done, f"sum {sum(range(ranks))} 1.0\n")
        facts = sharedjob.read_json(report)
        assert facts["ranks_reporting"] == ranks and facts["calls"]["open"]["served"] > 100 * ranks, str(facts)
        print(f"    {ranks} ranks with {facts['mpi']}", flush=True)


SPAWN = """
    import os, sys
    from mpi4py import MPI
    parent = MPI.Comm.Get_parent()
    if parent == MPI.COMM_NULL:
        assert len(sys.argv) == 1, "a spawned rank without a parent"
        child = MPI.COMM_WORLD.Spawn(sys.executable, args=[__file__, "spawned"], maxprocs=2)
        print(child.gather(None, root=MPI.ROOT))
        child.Disconnect()
    else:
        import decimal, sqlite3
        parent.gather((MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size), root=0)
        parent.Disconnect()
    """
POOL = """
    from mpi4py.futures import MPIPoolExecutor
    if __name__ == "__main__":
        with MPIPoolExecutor(2) as pool:
            print(list(pool.map(abs, [-1, 2])))
    """


def test_spawned_ranks():
    """A batch script exports LD_PRELOAD, so that spawned ranks have the library, too. They are not served."""
    wheel = subprocess.check_output([ROOT / "bench/env/make-env", "--mpi", "wheel"], text=True).strip()
    for text, output in ((SPAWN, "[(0, 2), (1, 2)]\n"), (POOL, "[1, 2]\n")):
        with tempfile.TemporaryDirectory() as scratch:
            settings = {"LD_PRELOAD": str(LIBRARY), "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", "FASTIMPORT_LOG": "info",
                        "FASTIMPORT_LOG_FILE": f"{scratch}/log", "FASTIMPORT_REPORT": f"{scratch}/report"}
            done = subprocess.run([f"{wheel}/env/bin/mpiexec", "-n", "1", f"{wheel}/env/bin/python", script(scratch, text)],
                                  env={**os.environ, **settings}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
            assert_done(done, output)
            lines = pathlib.Path(f"{scratch}/log").read_text()
            assert lines.count("MPI_Comm_spawn") == 1, f"{done.stderr}{lines}"
            facts = sharedjob.read_json(f"{scratch}/report")
            assert facts["ranks"] == 1 and facts["calls"]["open"]["served"] > 0, f"the parent: {facts}"


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
    assert_done(done, "good\ngood\n")


# --- nothing is left behind --------------------------------------------------------------------------------------


def test_nothing_is_left_after_the_end(cache_place):
    assert_done(python_job("import json", env={"FASTIMPORT_DIR": cache_place}))
    assert not caches(cache_place), f"left: {caches(cache_place)}"


def kill_one(victim, place):
    """A job whose rank `victim` is killed while it sleeps."""
    code = "import os, time, json; os.write(1, f\"{os.environ['PMI_RANK']} {os.getpid()}\\n\".encode()); time.sleep(30)"
    job = subprocess.Popen([MPIEXEC, "-n", "2", "env", f"LD_PRELOAD={LIBRARY}", "FASTIMPORT_FS=all", "FASTIMPORT_PLAN=off",
                            f"FASTIMPORT_DIR={place}", PYTHON, "-c", code],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    pids = dict(job.stdout.readline().split() for _ in range(2))
    os.kill(int(pids[str(victim)]), signal.SIGKILL)
    job.communicate(timeout=30)
    assert job.returncode != 0, "the job did not notice"


def test_sigkill_leaves_nothing_after_the_next_start(cache_place):
    for victim in 0, 1:
        kill_one(victim, cache_place)
    assert caches(cache_place), "a killed job is expected to leave its cache; what is tested here, then?"
    assert_done(python_job("import json", env={"FASTIMPORT_DIR": cache_place}))
    assert not caches(cache_place), f"left: {caches(cache_place)}"


def test_a_full_cache_directory(scratch):
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "none", scratch], check=True)
    try:
        done = python_job(ALLREDUCE, env={"FASTIMPORT_DIR": scratch})
        assert done.returncode == 0 and done.stdout == "sum 1 1.0\n", f"{done.returncode} {done.stdout} {done.stderr}"
        assert "is full" in done.stderr or "cannot" in done.stderr, f"no warning: {done.stderr!r}"
        assert done.stderr.count("fastimport: ") <= 2, done.stderr
    finally:
        subprocess.run(["umount", scratch], check=True)


def test_no_place_for_a_cache():
    done = python_job(ALLREDUCE, env={"FASTIMPORT_DIR": "/nonexistent"})
    assert done.returncode == 0 and done.stdout == "sum 1 1.0\n", f"{done.returncode} {done.stdout} {done.stderr}"
    assert done.stderr.count("/nonexistent") == 1, done.stderr


def test_no_mpi_library():
    done = python_job("import json; print('on')", env={"FASTIMPORT_MPI": "/nonexistent/libmpi.so"})
    assert done.returncode == 0 and same_output(done.stdout, "on\n" * 2), f"{done.returncode} {done.stdout} {done.stderr}"
    assert done.stderr.count("cannot load an MPI library") == 1, done.stderr


def test_written_files_are_seen(scratch):
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
    assert_done(done)
