# SPDX-License-Identifier: BSD-3-Clause
"""The broadcast down the tree of leaders: it reaches many nodes, and survives a leader in the middle that stops for a while."""

import pytest
from job import shared_job

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")

# Rank 1 is the leader of a node with two nodes below it (3 and 4 of 6). Rank 1 stops itself; its child lets it go on.
STOPS = """
import os, signal, subprocess, time
rank, began = int(os.environ["PMI_RANK"]), time.monotonic()
if rank == 1:
    subprocess.Popen(["/bin/sh", "-c", f"sleep STOPPED; kill -CONT {os.getpid()}"], env={})
    os.kill(os.getpid(), signal.SIGSTOP)
import numpy, scipy.linalg
os.write(1, f"{rank} {time.monotonic() - began:.3f}\\n".encode())
"""


def seconds_by_rank(job):
    assert job.code == 0, f"exit {job.code}\n{job.errors}"
    assert all(len(line.split()) == 2 for line in job.output.splitlines()), f"{job.output}\n{job.errors}"
    return {int(rank): float(seconds) for rank, seconds in (line.split() for line in job.output.splitlines())}


def test_nine_nodes_see_the_same():
    text = """
        import os, numpy, scipy.linalg
        os.write(1, b"%d %d\\n" % (os.getpid() > 0, numpy.arange(10).sum()))
        """
    job = shared_job(text, 9, 9)
    assert job.code == 0 and job.output == "1 45\n" * 9, f"exit {job.code}: {job.output!r}\n{job.errors}"
    assert job.errors == "", job.errors
    assert job.report["ranks_reporting"] == 9, str(job.report)
    opened = job.report["calls"]["open"]
    assert opened["served"] >= 0.99 * opened["intercepted"], str(job.report)


def test_a_leader_that_stops_holds_the_others_up_only_while_it_does():
    job = shared_job(STOPS.replace("STOPPED", "2"), 6, 6, env={"FASTIMPORT_WAIT_MS": "20000"})
    seconds = seconds_by_rank(job)
    assert sorted(seconds) == [0, 1, 2, 3, 4, 5], str(seconds)
    assert job.errors == "", job.errors
    assert job.report["ranks_reporting"] == 6, str(job.report)


def test_nobody_waits_for_ever_for_a_leader_that_has_stopped():
    job = shared_job(STOPS.replace("STOPPED", "7"), 6, 6, env={"FASTIMPORT_WAIT_MS": "1000"})
    seconds = seconds_by_rank(job)
    assert sorted(seconds) == [0, 1, 2, 3, 4, 5], str(seconds)
    for rank in 3, 4:
        assert seconds[rank] < seconds[1], f"rank {rank} waited until its parent went on: {seconds}\n{job.errors}"
        assert f"rank {rank}: warning: no sign of life from the root" in job.errors, job.errors
