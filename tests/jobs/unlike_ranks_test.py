# SPDX-License-Identifier: BSD-3-Clause
"""Ranks that differ, in what they are and in how they end: exit code and output of each job are those of a plain run."""

import subprocess
import tempfile
import time

import pytest
from job import (BUILD, LIBRARY, MPIEXEC, PYTHON, cache_directory, caches, nodes_job, script,
                 sharedjob)

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")

C_SUM, WITHOUT_MPI = str(BUILD / "tests/jobs/mpi_sum"), str(BUILD / "tests/jobs/plain_program")
SETTINGS = {"FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off"}


def run(parts, place=None, options=(), more=()):
    """Runs [(ranks, command)] as one MPMD job. With a place for node caches it runs with the library, and with more settings."""
    argv = [MPIEXEC, *options]
    for ranks, command in parts:
        env = ["env", f"LD_PRELOAD={LIBRARY}", f"FASTIMPORT_DIR={place}", *more, *[f"{k}={v}" for k, v in SETTINGS.items()]] if place else []
        argv += [":"] * (len(argv) > 1 + len(options)) + ["-n", str(ranks), *env, *map(str, command)]
    start = time.monotonic()
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    done.seconds = time.monotonic() - start
    return done


def own_lines(done):
    """What the ranks wrote, without the launcher's words on a job that was ended."""
    return sorted(line for line in done.stdout.partition("\n=====")[0].splitlines() if line)


def alike(parts, says=None, left=False, options=()):
    """Runs the job without the library and with it, and compares. says: the message that is expected of ranks that miss others."""
    plain = run(parts, options=options)
    with cache_directory() as place:
        done = run(parts, place, options, ["FASTIMPORT_JOIN_MS=1200"] if says else [])
        about = f"{parts}: plain exit {plain.returncode}, {plain.stdout!r}; with the library {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == plain.returncode, about
        assert own_lines(done) == own_lines(plain), about
        messages = [line for line in done.stderr.splitlines() if "fastimport" in line]
        assert len(messages) <= 2 if says else not messages, about  # rank 0 may be no Python: rank 1 says it, too
        assert says is None or (messages and all(says in line for line in messages)), about
        assert left or not caches(place), f"left: {caches(place)}: {about}"
    return plain, done


def python(text):
    """The command of a rank. The script is removed at the end."""
    place = tempfile.TemporaryDirectory()
    scripts.append(place)
    return [PYTHON, "-u", script(place.name, text)]


scripts = []
SUM = """
from mpi4py import MPI
import array, json, os, sys
total = array.array("i", [0])
MPI.COMM_WORLD.Allreduce(array.array("i", [MPI.COMM_WORLD.rank]), total)
os.write(1, f"sum {total[0]}\\n".encode())
"""
# With the library: until its rank has noticed those without it, which takes two seconds.
PAUSE = "import os, time; time.sleep(float(os.environ.get('PAUSE', '0')))"
WORK = "import json, decimal, os, sys; os.write(1, f'{len(json.dumps([1]))} {decimal.Decimal(2)}\\n'.encode())"


def test_python_and_c_programs_of_mpi():
    alike([(2, python(SUM)), (1, [C_SUM])])
    alike([(1, [C_SUM]), (2, python(SUM))])
    alike([(2, [C_SUM])])


def test_pythons_and_a_program_of_another_kind():
    """That program never joins. The others go on without fastimport, and the job lives until that program ends."""
    plain, done = alike([(2, python(WORK)), (1, [WITHOUT_MPI, "2500"])], "not all ranks have joined")
    assert done.seconds > 2.4 and plain.seconds > 2.4, f"{plain.seconds} {done.seconds}"
    alike([(1, [WITHOUT_MPI, "0"]), (2, python(WORK))], "not all ranks have joined")


def some_without(parts, says):
    """Runs [(ranks, words, command)] without the library and with it, and compares. Returns the report. words: what starts the command with
    the library; None: these ranks run without it."""
    plain = run([(ranks, command) for ranks, _, command in parts])
    with cache_directory() as place:
        library = [f"LD_PRELOAD={LIBRARY}", f"FASTIMPORT_DIR={place}", f"FASTIMPORT_REPORT={place}/report", *[f"{k}={v}" for k, v in SETTINGS.items()]]
        done = run([(ranks, command if words is None else [*words, "env", *library, *command]) for ranks, words, command in parts],
                   options=["-genv", "PAUSE", "3.5"])
        about = f"{parts}: plain exit {plain.returncode}, {plain.stdout!r}; with the library {done.returncode} {done.seconds:.1f} s\n{done.stdout}{done.stderr}"
        assert done.returncode == plain.returncode and own_lines(done) == own_lines(plain), about
        messages = [line for line in done.stderr.splitlines() if "fastimport" in line]
        assert len(messages) == (says is not None) and all(says in line for line in messages), about
        assert done.seconds < plain.seconds + 20, about  # FASTIMPORT_JOIN_MS is three times as long
        report = sharedjob.read_json(f"{place}/report")
        assert not caches(place), f"left: {caches(place)}: {about}"
    return report


def test_only_some_ranks_have_the_library():
    """Those that have it leave MPI alone, and say so."""
    for code in 0, 3:
        command = python(f"{SUM}\nMPI.COMM_WORLD.barrier()\nMPI.Finalize()\nsys.exit({code})")
        assert some_without([(2, None, command), (2, [], command)], "2 of the 4 ranks of this node run without") is None, (
            "who was served?")
    some_without([(1, [], python(SUM)), (1, None, python(SUM))], "1 of the 2 ranks of this node run without")
    some_without([(1, None, [C_SUM]), (1, [], python(SUM))], "1 of the 2 ranks of this node run without")
    some_without([(1, [], python(WORK)), (1, None, python(f"{PAUSE}\n{WORK}"))], "1 of the 2 ranks of this node run without")


def test_children_of_ranks_without_company_leave_mpi_alone():
    text = f"{PAUSE}\nimport subprocess, sys\nif len(sys.argv) == 1: subprocess.run(['env', 'PAUSE=0', sys.executable, __file__, 'child'], check=True)\n{WORK}"
    some_without([(1, [], python(text)), (1, None, python(text))], "1 of the 2 ranks of this node run without")
    text = f"import os, sys\nif len(sys.argv) == 1: os.execv(sys.executable, [sys.executable, __file__, 'again'])\n{SUM}"
    some_without([(1, [], python(text)), (1, None, python(text))], "1 of the 2 ranks of this node run without")


def test_a_rank_without_the_library_has_ended():
    some_without([(2, [], python(WORK)), (1, None, python(WORK))], "1 of the 3 ranks of this node have ended")


@pytest.mark.parametrize("slow", [["bash", "-c", 'sleep 4; exec "$@"', "bash"],
                                  ["bash", "-c", f'sleep 3; {PYTHON} -c "import time; time.sleep(1)"; exec "$@"', "bash"]],
                         ids=["sleep", "a Python"])
def test_a_rank_that_gets_the_library_late(slow):
    """A shell that sets it after some work may still be a rank with the library."""
    report = some_without([(1, [], python(SUM)), (1, slow, python(SUM))], None)
    assert report and report["ranks_reporting"] == 2, f"{report}"


def test_exit_codes_where_a_rank_never_joins():
    alike([(1, python(WORK + "; import sys; sys.exit(3)")), (1, [WITHOUT_MPI, "2000"])], "not all ranks have joined")
    alike([(1, python(WORK)), (1, [WITHOUT_MPI, "2000", "5"])], "not all ranks have joined")


def test_ways_to_end():
    for end in ("import sys; sys.exit(0)", "import sys; sys.exit(3)", "os._exit(0)", "os._exit(4)", "raise SystemExit('words')", "1/0",
                "import os; os.kill(os.getpid(), 15)", "os.abort()"):
        signal = "kill" in end or "abort" in end
        alike([(1 if signal else 2, python(f"{WORK}\n{end}"))], left=signal)
    alike([(1, python(f"{WORK}\nsys.exit(3)")), (2, python(f"import time; time.sleep(1)\n{WORK}"))])


def test_ways_to_end_after_mpi():
    for end in ("pass", "import sys; sys.exit(3)", "MPI.Finalize(); os._exit(0)", "MPI.Finalize(); sys.exit(6)",
                "import time; time.sleep(0.3); MPI.COMM_WORLD.Abort(7)"):  # the launcher drops what it has not yet passed on
        alike([(2, python(f"{SUM}\nMPI.COMM_WORLD.allreduce(1)  # keeps a lock on the communicator\n{end}"))], left="Abort" in end)
    alike([(1, python(f"{SUM}\nMPI.Finalize(); os._exit(0)")), (1, python(SUM)), (1, [C_SUM])])


def test_a_c_program_aborts():
    alike([(1, python("""
        from mpi4py import MPI
        MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank)
        MPI.COMM_WORLD.barrier()
        """)), (1, [C_SUM, "9"])], left=True)


def test_rank_0_ends_first():
    alike([(1, python(WORK)), (2, python("import time; time.sleep(1)\n" + WORK))])
    alike([(1, [WITHOUT_MPI, "0"]), (1, python(WORK))], "not all ranks have joined")


def test_communicators_of_the_program():
    alike([(4, python("""
        from mpi4py import MPI
        import os, json
        world = MPI.COMM_WORLD
        half = world.Split(world.rank % 2, world.rank)
        node = world.Split_type(MPI.COMM_TYPE_SHARED)
        copy = half.Dup()
        if world.rank % 2:
            import decimal
        os.write(1, f"{copy.allreduce(world.rank)} {node.size} {world.size}\\n".encode())
        copy.Free(), half.Free()
        """))])


@pytest.mark.parametrize("level", ["single", "funneled", "serialized", "multiple"])
def test_thread_levels(level):
    alike([(2, python(f"""
        import mpi4py
        mpi4py.rc.thread_level = {level!r}
        from mpi4py import MPI
        import os
        os.write(1, f"{{MPI.Query_thread() >= MPI.THREAD_{level.upper()}}} {{MPI.COMM_WORLD.allreduce(1)}}\\n".encode())
        """))])


def test_mpi_is_never_initialised():
    alike([(2, python("import mpi4py; mpi4py.rc.initialize = False\nfrom mpi4py import MPI\nimport os, json\n"
                      "os.write(1, f'{MPI.Is_initialized()}\\\\n'.encode())"))])


def test_futures():
    text = """
        from mpi4py.futures import MPIPoolExecutor
        import os
        def work(x):
            import json, decimal
            return int(decimal.Decimal(x) ** 2)
        if __name__ == "__main__":
            with MPIPoolExecutor() as pool:
                os.write(1, f"{sorted(pool.map(work, range(9)))}\\n".encode())
        """
    command = python(text)
    alike([(3, [PYTHON, "-m", "mpi4py.futures", command[-1]])])


def is_lost(victim, ranks, nodes):
    """A rank is killed, but the shell around its Python keeps the connection to the launcher open. The others go on, and end. Returns the
    number of ranks in the report, or None if there is none."""
    with cache_directory() as place:
        start = time.monotonic()
        done = nodes_job(f"""
            import os, signal, time, json
            if os.environ["PMI_RANK"] == "{victim}":
                time.sleep(0.3)
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(1)
            import decimal, email.mime.text
            os.write(1, b"done\\n")
            os.close(1)
            """, ranks, nodes, {"FASTIMPORT_WAIT_MS": 300, "FASTIMPORT_DIR": place, "FASTIMPORT_REPORT": f"{place}/report",
                                   "FASTIMPORT_BELOW_SHELL": "start"}, after="sleep 3.5")
        seconds = time.monotonic() - start
        lines = [line for line in done.stdout.splitlines() if " UCX " not in line]
        assert lines == ["done"] * (ranks - 1) and done.returncode == 0 and seconds < 20, f"{done} {seconds}"
        assert done.stderr.count("no sign of life from the root") == done.stderr.count("fastimport: ") == 1, done.stderr
        report = sharedjob.read_json(f"{place}/report")
        return report and report["ranks_reporting"]


def test_the_root_is_lost_and_the_launcher_does_not_notice():
    assert is_lost(0, 3, 1) is None, "who has written this report?"


def test_a_leader_is_lost_and_the_launcher_does_not_notice():
    """The root never gets the statistics of its node."""
    reporting = is_lost(2, 4, 2)
    assert reporting == 2, f"{reporting} in the report"
