# SPDX-License-Identifier: BSD-3-Clause
"""Emulated nodes: each mounts its own client in its own namespace, passes everything through, and leaves nothing behind."""

import os
import signal

import pytest

# --- the nodes of a job -------------------------------------------------------------------------------------------


def test_every_node_mounts_afresh(nodes, shared):
    done = nodes.job(4, 8, "cat", shared.source / "file")
    assert (done.returncode, done.stdout, done.stderr) == (0, "shared" * 8, "")
    counted = shared.stats()["nodes"]
    assert [n["node"] for n in counted] == [0, 1, 2, 3]
    for n in counted:  # the two ranks of a node share one client
        assert (n["ops"]["lookup"], n["ops"]["open"], n["read_bytes"]) == (1, 2, 6)
    nodes.assert_all_end()


def test_ranks_fill_nodes_in_blocks(nodes):
    done = nodes.job(3, 5, "sh", "-c", "echo $PMI_RANK $(readlink /proc/self/ns/mnt)")
    where = dict(line.split() for line in done.stdout.splitlines())
    assert [where[str(r)] == where[str(r - 1)] for r in range(1, 5)] == [True, False, True, False]


def test_ppn(nodes):
    done = nodes.job(2, 4, "sh", "-c", "readlink /proc/self/ns/mnt", options=["--ppn", 3])
    mounts = done.stdout.split()
    assert sorted(mounts.count(m) for m in set(mounts)) == [1, 3]


def test_nothing_is_shared_without_a_directory(nodes):
    done = nodes.job(2, 2, "grep", "-c", "fuse.sharedfs", "/proc/self/mountinfo", share=False)
    assert done.stdout.split() == ["0", "0"]


def test_private_tmpfs(nodes, scratch):
    private = scratch / "private"
    private.mkdir()
    script = f"echo $PMI_RANK > {private}/f$PMI_RANK; ls {private}; df --output=size -k {private} | tail -1"
    done = nodes.job(2, 2, "sh", "-c", script, options=["--private-tmpfs", f"{private}=1m"])
    assert sorted(done.stdout.split()) == ["1024", "1024", "f0", "f1"], done.stderr
    assert os.listdir(private) == []


# --- scripts of the nodes -----------------------------------------------------------------------------------------


def test_prolog_and_epilog_run_on_each_node(nodes, scratch):
    options = ["--prolog", f"touch {scratch}/begun$EMULATED_NODE", "--epilog", f"touch {scratch}/ended$EMULATED_NODE"]
    check = f"test -e {scratch}/begun$EMULATED_NODE && ! test -e {scratch}/ended$EMULATED_NODE && echo between on $EMULATED_NODE"
    done = nodes.job(2, 4, "sh", "-c", check, options=options)
    assert sorted(done.stdout.splitlines()) == ["between on 0"] * 2 + ["between on 1"] * 2, done
    assert {"ended0", "ended1"} <= set(os.listdir(scratch))


def test_a_failing_prolog_ends_the_job(nodes, scratch):
    done = nodes.job(2, 2, "touch", scratch / "ran", options=["--prolog", "exit $((3 * EMULATED_NODE))"])
    assert done.returncode != 0
    nodes.assert_all_end()


# --- staged copies ------------------------------------------------------------------------------------------------


@pytest.fixture
def staged(scratch):
    """The options with which two nodes see copies of their own at scratch/place."""
    for node in "01":
        (scratch / "copies" / node).mkdir(parents=True)
        (scratch / "copies" / node / "name").write_text(f"copy {node}\n")
    (scratch / "place").mkdir()
    return ["--staged", scratch / "copies", "--mount", scratch / "place"]


@pytest.mark.needs("root")
def test_each_node_sees_its_own_staged_copy(mpiexec_nodes, staged, scratch):
    done = mpiexec_nodes("-N", 2, "-n", 2, *staged, "--", "cat", scratch / "place/name")
    assert (done.returncode, sorted(done.stdout.splitlines())) == (0, ["copy 0", "copy 1"]), done.stderr


def test_a_node_without_a_staged_copy_is_refused(mpiexec_nodes, staged):
    done = mpiexec_nodes("-N", 3, "-n", 3, *staged, "--", "true")
    assert done.returncode == 2
    assert "no copy for each of 3 nodes" in done.stderr


# --- what passes through ------------------------------------------------------------------------------------------


def test_exit_code_streams_and_environment(nodes):
    done = nodes.job(2, 2, "sh", "-c", "echo out $JOB_TOKEN $ONLY; echo err >&2; exit 7", options=["--env", "ONLY=ranks=all"])
    assert done.returncode == 7
    assert f"out {nodes.token} ranks=all\n" in done.stdout
    assert "err\n" in done.stderr


def test_arguments_arrive_whole(nodes):
    words = ["a b", "$HOME", "'q'", "*"]
    done = nodes.job(2, 1, "python3", "-c", "import sys; print(sys.argv[1:])", *words)
    assert done.stdout.strip() == str(words)


# --- how a node ends ----------------------------------------------------------------------------------------------


def test_stray_processes_end_with_the_job(nodes, shared):
    # The stray process closes its descriptors: hydra itself waits for all processes that hold those of a rank.
    stray = (f"import subprocess as s; n = s.DEVNULL; "
             f"s.Popen(['setsid', 'sleep', '600'], cwd='{shared.source}', stdin=n, stdout=n, stderr=n)")
    done = nodes.job(2, 2, "python3", "-c", stray)
    assert done.returncode == 0, done.stderr
    nodes.assert_all_end()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_signal_to_mpiexec_leaves_nothing(nodes, shared, number):
    with nodes.start(2, 4, "sh", "-c", f"cd {shared.source}; exec sleep 600 <file", opens=4) as mpiexec:
        mpiexec.send_signal(number)
        mpiexec.wait(15)
    nodes.assert_all_end()


def test_killed_node_leaves_nothing_of_its_own(nodes, shared):
    """The client of a node whose emulated-node is killed unmounts itself."""
    with nodes.start(1, 1, "sh", "-c", f"cd {shared.source}; exec sleep 600 <file", opens=1) as mpiexec:
        for pid in nodes.processes("emulated-node"):
            os.kill(pid, signal.SIGKILL)
        nodes.assert_all_end("sharedfs")
        mpiexec.kill()


# --- errors -------------------------------------------------------------------------------------------------------


def test_failed_mount_is_said(nodes, shared):
    shared.state.write_text("junk")
    done = nodes.job(1, 1, "true")
    assert done.returncode != 0
    assert "state file" in done.stderr


@pytest.mark.parametrize("words", [
    ["-n", 1, "--", "true"], ["-N", 1, "--", "true"], ["-N", 1, "-n", 1], ["-N", "x", "-n", 1, "true"],
    ["-N", 1, "-n", 1, "--frob", 1, "true"], ["-N", 1, "-n", 1, "--rtt", 1, "true"],
    ["-N", 1, "-n", 1, "--share-dir", "/nonexistent", "--state", "x", "true"],
    ["-N", 1, "-n", 1, "--env", "novalue", "true"], ["-N", 1, "-n", 1, "--mpiexec", "nompi", "true"]])
def test_wrong_options(mpiexec_nodes, words):
    done = mpiexec_nodes(*words)
    assert done.returncode == 2
    assert "mpiexec-nodes:" in done.stderr
