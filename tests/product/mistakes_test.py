# SPDX-License-Identifier: BSD-3-Clause
"""Ten mistakes that people make. Each is answered by one line that names the cause and the remedy, and the program runs all the same."""

import contextlib
import pathlib
import re
import shutil
import subprocess

import pytest
from job import IMPORTS, LIBRARY, MPIEXEC, MPIEXEC_NODES, PYTHON, run
from support import BUILD

pytestmark = pytest.mark.needs("mpiexec.mpich", "environment")

COMMAND = BUILD / "fastimport"
SIZE = "from mpi4py import MPI; import json; print('size', MPI.COMM_WORLD.size)"


def fastimport_run(*words, env=(), options=(), timeout=90):
    """`fastimport run`, as a user types it, but with settings of his own."""
    return run(["env", "-u", "FASTIMPORT_PLAN", *env, COMMAND, "run", *options, "--", *words], timeout)


def one_line(done, *told, code=0):
    """The only line of fastimport matches all of `told`, and the program ended with this code."""
    lines = [line for line in done.stderr.splitlines() if line.startswith("fastimport")]
    assert done.returncode == code and len(lines) == 1, f"exit {done.returncode}\n{done.stdout}{done.stderr}"
    for text in told:
        assert re.search(text, lines[0]), f"{text} is not in: {lines[0]}"


def test_1_a_local_file_system():
    one_line(fastimport_run(MPIEXEC, "-n", "2", PYTHON, "-c", "import json"), "nothing of this program is on a network file system", "FASTIMPORT_FS=all")


def test_2_a_typo_in_a_variable(scratch):
    done = fastimport_run(MPIEXEC, "-n", "2", PYTHON, "-c", "import json", options=["-q", "--fs=all", "--plan=off"], env=["FASTIMPORT_RAPORT=stderr"])
    one_line(done, "not a setting of fastimport: FASTIMPORT_RAPORT", r"did you mean FASTIMPORT_REPORT\?")


def test_3_no_launcher():
    done = fastimport_run(PYTHON, "-c", "print('ran')")
    one_line(done, "no launcher starts python", "write fastimport run -- srun")
    assert done.stdout == "ran\n"


@pytest.mark.skipif(not pathlib.Path("/usr/lib/x86_64-linux-gnu/libmpi.so.40").exists(), reason="needs Debian's python3-mpi4py, of Open MPI")
def test_4_the_launcher_of_another_mpi():
    done = fastimport_run(MPIEXEC, "-n", "2", "/usr/bin/python3", "-c", SIZE, options=["-q", "--fs=all", "--plan=off"])
    one_line(done, r"another MPI library \(.*libmpi\.so\.40\) than the job's launcher \(MPICH", "start it with that MPI's own launcher")
    assert done.stdout == "size 1\nsize 1\n"


@pytest.mark.needs("root")
def test_5_no_memory(scratch, private_mounts):
    place = scratch / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=1777", "none", place], check=True)
    with contextlib.ExitStack() as after:
        after.callback(subprocess.run, ["umount", "-l", place], check=True)
        done = fastimport_run(MPIEXEC, "-n", "2", PYTHON, "-c", IMPORTS, options=["-q", "--fs=all", "--plan=off", f"--dir={place}"])
        one_line(done, f"{place}/.* is full", "set FASTIMPORT_DIR to a directory with more room")
        done = run([COMMAND, "check", "-p", PYTHON], 60, env={"PATH": "/usr/bin:/bin", "HOME": str(scratch), "FASTIMPORT_DIR": str(place)})
        assert re.search(rf"^WRONG  memory +{place} has room for 0\.\d+ GiB only: ask the batch system", done.stdout, re.M), done.stdout


def test_6_a_plan_of_another_environment(scratch):
    options = ["-q", "--fs=all", f"--plan={scratch}/plan"]
    done = fastimport_run(MPIEXEC, "-n", "2", PYTHON, "-c", "import json", options=options)
    assert done.returncode == 0 and not done.stderr, done
    done = fastimport_run(MPIEXEC, "-n", "2", PYTHON, "-c", "import json", options=options, env=["LD_LIBRARY_PATH=/usr/lib"])
    one_line(done, f"the plan {scratch}/plan is not used: it was made for another environment", "FASTIMPORT_PLAN names another, 'fastimport plan drop'")


def test_7_a_wrapper_without_exec():
    done = fastimport_run(MPIEXEC, "-n", "2", "bash", "-c", f"{PYTHON} -c 'import json'; true", options=["-q", "--fs=all", "--plan=off"])
    one_line(done, "the shell that started it", "with 'exec' in the script, or FASTIMPORT_BELOW_SHELL=start, it is served from its start")


@pytest.mark.needs("root")
def test_8_a_home_that_cannot_be_written(scratch, private_mounts):
    home = scratch / "home"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", home], check=True)
    with contextlib.ExitStack() as after:
        after.callback(subprocess.run, ["umount", "-l", home], check=True)
        done = fastimport_run(MPIEXEC, "-n", "2", PYTHON, "-c", "import json", options=["-q", "--fs=all"], env=["-u", "XDG_CACHE_HOME", f"HOME={home}"])
        one_line(done, f"the plan {home}/.* cannot be written: ", "set FASTIMPORT_PLAN to a file elsewhere, or to off")


@pytest.mark.skipif(not pathlib.Path("/usr/lib/x86_64-linux-gnu/libmpi.so.40").exists(), reason="needs an Open MPI beside MPICH")
def test_9_two_mpi_libraries(scratch):
    """FASTIMPORT_MPI names the one that the program does not use; and an environment has both."""
    done = fastimport_run(MPIEXEC, "-n", "2", PYTHON, "-c", SIZE, options=["-q", "--fs=all", "--plan=off", "--mpi=/usr/lib/x86_64-linux-gnu/libmpi.so.40"])
    one_line(done, "the program's MPI library is Open MPI, and its launcher has not started this job", "going on without fastimport")
    assert done.stdout == "size 2\nsize 2\n", done
    (scratch / "bin").mkdir()
    (scratch / "lib").mkdir()
    (scratch / "bin/python3").symlink_to("/usr/bin/python3")
    (scratch / "pyvenv.cfg").write_text("home = /usr/bin\n")
    for name, target in (("libmpi.so.12", "libmpich.so.12"), ("libmpi.so.40", "libmpi.so.40")):
        (scratch / "lib" / name).symlink_to(f"/usr/lib/x86_64-linux-gnu/{target}")
    done = run([COMMAND, "check", "-p", scratch / "bin/python3"], 60)
    assert re.search(r"^WRONG  MPI +.*/lib has two MPI libraries, libmpi.so.12 and libmpi.so.40: remove the one", done.stdout, re.M), done.stdout


@pytest.mark.needs("root")
def test_10_the_library_is_not_on_a_compute_node(scratch):
    """It is on one of the two nodes. fastimport check names the other one; a job says so, and runs."""
    here = scratch / "sw"
    here.mkdir()
    for name in ("fastimport", "libfastimport.so", "libfastimport-elf.so"):
        shutil.copy(BUILD / name, here)
    launcher = scratch / "mpiexec"
    launcher.write_text(f"""#!/bin/sh
exec {MPIEXEC_NODES} -N 2 -n 2 --env=LD_PRELOAD=$LD_PRELOAD --env=FASTIMPORT_FS=all --env=FASTIMPORT_LOG=$FASTIMPORT_LOG --env=FASTIMPORT_JOIN_MS=2000 \\
    --env=FASTIMPORT_PLAN=off -- sh -c '[ "$PMI_RANK" = 0 ] || export LD_PRELOAD=/not/on/this/node/libfastimport.so; exec "$@"' sh "$@"
""")
    launcher.chmod(0o755)
    done = run([here / "fastimport", "check", "-p", PYTHON, "--", launcher, "env"], 120)
    assert re.search(rf"^WRONG  job +1 of 2 ranks run without the library, such as on node \S+: install it where all nodes see it.*{here}", done.stdout, re.M), (
        done.stdout + done.stderr)
    assert str(LIBRARY) not in done.stdout
