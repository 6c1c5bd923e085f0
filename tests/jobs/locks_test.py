# SPDX-License-Identifier: BSD-3-Clause
"""Locks on served files that are open for reading only exclude other ranks, on all nodes, and processes outside of the job."""

import fcntl
import pathlib
import tempfile

import pytest
from job import assert_done, nodes_job

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")

# Each rank in turn tries to take the lock and keeps it.
TRIES = """
    import fcntl, os, struct
    from mpi4py import MPI
    comm = MPI.COMM_WORLD
    path = os.environ["FASTIMPORT_PATH"] + "/file"
    OFD_SETLK, READ, WRITE = 37, 0, 1

    def lock_ofd(f):
        fcntl.fcntl(f, OFD_SETLK, struct.pack("hhqqi4x", READ, 0, 0, 0, 0))

    def attempt(lock, f):
        try:
            lock(f)
            return True
        except BlockingIOError:
            return False

    def attempts(lock):
        f = open(path)
        assert f.read() == "content"
        f.seek(3)
        got = None
        for rank in range(comm.size):
            if rank == comm.rank:
                got = attempt(lock, f)
            comm.barrier()
        assert f.read() == "tent"  # at the same offset, from the original
        result = comm.allgather(got)
        f.close()
        comm.barrier()
        return result
"""


def locks_job(text, nodes, before=None):
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        file = pathlib.Path(scratch, "served/file")
        file.parent.mkdir()
        file.write_text("content")
        with open(file, "r+") as held:
            if before:
                before(held)
            done = nodes_job(TRIES + text, 4, nodes, {"FASTIMPORT_PATH": str(file.parent)}, timeout=60)
        assert_done(done, "right\n")


@pytest.mark.parametrize("nodes", [1, 2])
def test_one_rank_at_a_time(nodes):
    locks_job("""
    exclusive = lambda f: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert attempts(exclusive) == [True] + [False] * 3
    assert attempts(exclusive) == [True] + [False] * 3  # closing has released it
    assert attempts(lambda f: fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)) == [True] * 4
    if comm.rank == 0:
        print("right")
    """, nodes)


@pytest.mark.parametrize("nodes", [1, 2])
@pytest.mark.parametrize("mode, got", [(fcntl.LOCK_EX, False), (fcntl.LOCK_SH, True)])
def test_a_process_outside_of_the_job_holds_it(nodes, mode, got):
    locks_job(f"""
    assert attempts(lambda f: fcntl.flock(f, fcntl.LOCK_SH | fcntl.LOCK_NB)) == [{got}] * 4
    if comm.rank == 0:
        print("right")
    """, nodes, before=lambda held: fcntl.flock(held, mode))


@pytest.mark.parametrize("nodes", [1, 2])
def test_record_locks(nodes):
    """fcntl(2) gives read locks to descriptors that are open for reading: those that a writer's lock excludes."""
    for before, got in (None, True), (lambda held: fcntl.lockf(held, fcntl.LOCK_EX), False):
        locks_job(f"""
    assert attempts(lambda f: fcntl.lockf(f, fcntl.LOCK_SH | fcntl.LOCK_NB)) == [{got}] * 4
    assert attempts(lock_ofd) == [{got}] * 4
    if comm.rank == 0:
        print("right")
    """, nodes, before)
