# SPDX-License-Identifier: BSD-3-Clause
"""What a start with Open MPI costs the shared file system, on emulated nodes: no more than 1.05 of one plain rank, as with MPICH
(tests/jobs/start_test.py). MPI itself is on the nodes' own disks, the Python environment on the shared file system.
"""

import json
import os
import subprocess

import pytest
from job import ALLREDUCE, BUILD, CLIENT, LIBRARY, ROOT, script, sharedjob
from jobs.launchers.mpi_test import OPEN_MPI_VARIABLES, OPEN_MPIS

pytestmark = pytest.mark.needs("root", "environment")

# In the place of ssh: a node of bench/emulator under a host name of its own, by which Open MPI tells nodes apart.
AGENT = """#!/bin/bash
while [ "${1#-}" != "$1" ]; do case $1 in -o|-p|-l) shift;; esac; shift; done
host=$1; shift
exec unshare -u bash -c 'hostname "$0"; exec "$FASTIMPORT_BUILD/emulated-node" "$0" "bash -c $(printf %q "$*")"' "$host" "$@"
"""


@pytest.fixture
def share():
    """An environment whose mpi4py takes the MPI library that MPI4PY_LIBMPI names."""
    return subprocess.check_output([ROOT / "bench/env/make-env", "--mpi", "wheel"], text=True).strip()


def operations(mpi, share, scratch, ranks, nodes, command, settings):
    """Runs the job. Returns its output, and the metadata operations of all of it."""
    agent = scratch / "agent"
    agent.write_text(AGENT)
    agent.chmod(0o755)
    state = scratch / "state"
    state.unlink(missing_ok=True)
    client = [f"{name}={value}" for name, value in zip(sharedjob.FOREVER[::2], sharedjob.FOREVER[1::2])]
    launch = mpi.launch(ranks, 2)  # with an agent
    words = [agent if str(word).endswith("/agent") else word for word in launch]
    words[words.index("--host") + 1] = ",".join(f"n{i}:{-(-ranks // nodes)}" for i in range(nodes))
    words[words.index("--map-by") + 1] = f"ppr:{-(-ranks // nodes)}:node"
    env = {**os.environ, **OPEN_MPI_VARIABLES, "FASTIMPORT_BUILD": str(BUILD), "EMULATED_NODE_MOUNT": share,
           "EMULATED_NODE_SHARE": "\n".join([share, share, f"--state={state}", *client, CLIENT[0], "=".join(CLIENT[1:])])}
    settings = {"MPI4PY_LIBMPI": mpi.library_path(), **settings}
    words += ["env", *(f"{k}={v}" for k, v in settings.items()), *command]
    done = subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, env=env)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout, json.loads(subprocess.check_output([BUILD / "sharedfs", "stats", state]))["metadata_ops"]


@pytest.mark.parametrize("name", OPEN_MPIS)
def test_open_mpi(name, share, scratch):
    mpi, python = OPEN_MPIS[name](), f"{share}/env/bin/python"
    start, nothing = [python, script(scratch, ALLREDUCE)], [python, "-c", "pass"]
    plain = {"FASTIMPORT_PLAN": "off"}
    before = {**plain, "LD_PRELOAD": sharedjob.EXEC_ONLY}
    served = {**plain, "LD_PRELOAD": LIBRARY, "FASTIMPORT_REPORT": scratch / "report"}
    output, one = operations(mpi, share, scratch, 1, 1, start, plain)
    _, one_exec = operations(mpi, share, scratch, 1, 1, nothing, before)
    job_output, job = operations(mpi, share, scratch, 4, 2, start, served)
    _, job_exec = operations(mpi, share, scratch, 4, 2, nothing, before)
    assert (output, job_output) == ("sum 0 1.0\n", "sum 6 1.0\n")
    facts = sharedjob.read_json(scratch / "report")
    assert (facts["ranks_reporting"], facts["nodes"]) == (4, 2) and facts["mpi"].startswith(mpi.version), str(facts)
    ratio = (job - job_exec) / (one - one_exec)
    print(f"    {facts['mpi'][:14]}: metadata {ratio:.3f} (one rank: {one} operations, {one_exec} of them for exec; job: {job}, {job_exec})", flush=True)
    assert ratio <= 1.05, f"metadata ratio {ratio:.3f}"
