# SPDX-License-Identifier: BSD-3-Clause
"""What can go wrong on four nodes: every failure is told in one line and leaves nothing, and another run succeeds."""

import filecmp
import json
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

MIB = 1 << 20


@pytest.fixture(scope="module")
def environment(area, pack):
    """A tree of 40 directories, 400 small files and 24 files of 1 MiB that do not compress."""
    env = area / "env"
    (env / "bin").mkdir(parents=True)
    for d in range(1, 41):
        (env / f"d{d}").mkdir()
        for f in range(1, 11):
            (env / f"d{d}/f{f}.py").write_text(f"file {d}/{f} in {env}\n")
    for d in range(1, 25):
        (env / f"d{d}/data").write_bytes(os.urandom(MIB))
    for suffix in "tar.gz", "tar.zst", "tar":
        pack(env, f"a.{suffix}")
    return env


@pytest.fixture(scope="module")
def big(area, pack):
    """An archive of 300 MiB, so that staging it takes a while."""
    (area / "big").mkdir()
    for f in range(1, 301):
        (area / f"big/f{f}").write_bytes(os.urandom(MIB))
    return pack(area / "big", "big.tar")


@pytest.fixture
def archive(area, environment):
    """The path of the environment's archive with this suffix."""
    return lambda suffix: area / f"a.{suffix}"


def files_below(top):
    return sorted(str(path.relative_to(top)) for path in top.rglob("*")
                  if path.is_file() and not str(path.relative_to(top)).startswith(".python"))


@pytest.fixture
def assert_staged(nodes, environment):
    """Asserts that DIR of these nodes is the packed tree, but for the prefix."""
    def check(*numbers):
        for i in numbers:
            env = nodes.node(i) / "env"
            assert files_below(env) == files_below(environment)
            assert filecmp.cmp(environment / "d1/data", env / "d1/data", shallow=False)
            assert re.search(f"in {nodes.dir}$", (env / "d3/f3.py").read_text(), re.M)
    return check


@pytest.fixture
def assert_next_succeeds(nodes, archive, assert_staged):
    """Asserts that another run on all nodes succeeds."""
    def check():
        done = nodes.run(4, "stage", archive("tar.zst"), "--to", nodes.dir)
        assert done.returncode == 0, done.stderr
        assert_staged(0, 1, 2, 3)
    return check


# --- no failure ---


@pytest.mark.parametrize("how", ["once", "nodes"])
@pytest.mark.parametrize("suffix", ["tar.gz", "tar.zst", "tar"])
def test_stage_verify_and_clean(nodes, archive, assert_staged, suffix, how):
    done = nodes.run(4, "stage", archive(suffix), "--to", nodes.dir, "--decompress", how)
    assert done.returncode == 0, done.stderr
    assert_staged(0, 1, 2, 3)
    assert nodes.run(4, "verify", nodes.dir).returncode == 0
    nodes.run(4, "clean", nodes.dir)
    assert nodes.left() == []


# --- one node is full, or read-only ---


def test_a_node_without_space_is_found_beforehand(nodes, archive, assert_refused):
    nodes.remount(2, "size=20m")
    assert_refused(nodes.run(4, "stage", archive("tar.zst"), "--to", nodes.dir), "rank 2.*not enough space")
    assert nodes.left() == []


def test_a_node_that_fills_up_in_the_middle(nodes, area, assert_refused, assert_next_succeeds):
    """An archive without a manifest: its size is not known beforehand."""
    nodes.remount(2, "size=25m")
    (area / "zeros").mkdir()
    for i in range(3):
        (area / f"zeros/{i}").write_bytes(bytes(20_000_000))
    subprocess.run(["tar", "-C", area / "zeros", "-czf", area / "zeros.tar.gz", "."], check=True)
    assert_refused(nodes.run(4, "stage", area / "zeros.tar.gz", "--to", nodes.dir), "rank 2.*No space left")
    assert nodes.left() == []
    nodes.remount(2, "size=1g")
    assert_next_succeeds()


def test_a_node_without_inodes_is_found_beforehand(nodes, archive, assert_refused):
    nodes.remount(1, "nr_inodes=50")
    assert_refused(nodes.run(4, "stage", archive("tar.gz"), "--to", nodes.dir), "rank 1.*not enough inodes")


@pytest.fixture
def readonly(nodes):
    """Nodes, of which number 3 is read-only."""
    nodes.remount(3, "ro")
    return nodes


def test_a_read_only_node(readonly, archive, assert_refused):
    assert_refused(readonly.run(4, "stage", archive("tar.zst"), "--to", readonly.dir), "rank 3.*Read-only")
    assert readonly.left() == []


def test_allow_failed_goes_on_without_it(readonly, area, archive, assert_staged):
    (area / "precious").write_text("precious")
    (area / "bad").symlink_to("precious")
    done = readonly.run(4, "stage", archive("tar.zst"), "--to", readonly.dir, "--allow-failed", 1,
                        "--failed-nodes", area / "bad")
    assert done.returncode == 0, done.stderr
    assert (area / "precious").read_text() == "precious"  # the symlink is replaced, not followed
    assert "rank 3" in (area / "bad").read_text()
    assert_staged(0, 1, 2)
    assert readonly.left(3) == []


def test_two_bad_nodes_are_more_than_one(readonly, archive, assert_refused, assert_next_succeeds):
    readonly.remount(1, "ro")
    done = readonly.run(4, "stage", archive("tar.gz"), "--to", readonly.dir, "--allow-failed", 1)
    assert_refused(done, "and 1 more of 4 nodes")
    assert readonly.left() == []
    readonly.remount(1, "rw")
    readonly.remount(3, "rw")
    assert_next_succeeds()


# --- signals in the middle of the stream ---


@pytest.fixture
def running(nodes, big):
    """A job (Popen) that is staging: its stream is under way."""
    job = nodes.start(4, "stage", big, "--to", nodes.dir)
    deadline = time.monotonic() + 10
    while not list(nodes.node(2).glob("env.partial-*/f1")):
        assert time.monotonic() < deadline, "the stream does not begin"
        time.sleep(0.005)
    yield job
    if job.poll() is None:
        job.kill()
    job.communicate()


def end(job):
    """Waits for the job; returns its CompletedProcess."""
    out, err = job.communicate(timeout=90)
    return subprocess.CompletedProcess(job.args, job.returncode, out, err)


def leader_of_node(number, area):
    """The pid of the leader of a node; its cleanup helper, which has a session of its own, is another process."""
    for entry in sorted(pathlib.Path("/proc").glob("[0-9]*"), key=lambda entry: int(entry.name)):
        try:
            words, variables = ((entry / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
        except OSError:
            continue
        stages_big = words[0].endswith(b"/python-mpi-bcast") and os.fsencode(area / "big.tar") in words
        if stages_big and b"PMI_RANK=%d" % number in variables:
            return int(entry.name)
    raise AssertionError(f"rank {number} does not run")


def children(pid, name):
    done = subprocess.run(["pgrep", "-P", str(pid), name], capture_output=True, text=True, check=True)
    return [int(word) for word in done.stdout.split()]


def assert_nothing_left_soon(nodes):
    """Within ten seconds: cleanup helpers may still be at work."""
    deadline = time.monotonic() + 10
    while (left := nodes.left()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left == []


@pytest.mark.parametrize("victim", [2, 0])
def test_a_killed_rank_ends_the_job(nodes, running, area, assert_next_succeeds, victim):
    os.kill(leader_of_node(victim, area), signal.SIGKILL)
    done = end(running)
    assert done.returncode != 0
    assert "EXIT CODE: " in done.stdout  # the launcher names it
    assert_nothing_left_soon(nodes)
    assert_next_succeeds()


def test_a_signal_to_one_rank(nodes, running, area, assert_refused, assert_next_succeeds):
    os.kill(leader_of_node(1, area), signal.SIGTERM)
    assert_refused(end(running), "rank 1.*stopped by signal 15")
    assert_nothing_left_soon(nodes)
    assert_next_succeeds()


def test_an_interrupt_to_mpiexec(nodes, running, told, assert_next_succeeds):
    [timeout] = children(running.pid, "timeout")
    [mpiexec] = children(timeout, "mpiexec")
    os.kill(mpiexec, signal.SIGINT)
    done = end(running)
    assert done.returncode != 0
    assert len(told(done)) == 1, done.stderr
    assert_nothing_left_soon(nodes)
    assert_next_succeeds()


def test_the_next_job_removes_what_a_dead_job_left(nodes, assert_next_succeeds):
    """The cleanup helper was killed, too."""
    dead = nodes.node(1) / "env.partial-0123456789abcdef"
    (dead / "d1").mkdir(parents=True)
    (dead / "d1/f").touch()
    (dead / ".python-mpi-bcast").mkdir()
    (dead / ".python-mpi-bcast/partial").write_text("python-mpi-bcast-partial 1\n0123456789abcdef\n")
    (dead / "d1").chmod(0o500)
    assert_next_succeeds()
    assert nodes.left(1) == ["n1/env"]


def test_two_jobs_at_once(nodes, big, assert_refused):
    first = nodes.start(4, "stage", big, "--to", nodes.dir)
    done = [nodes.run(4, "stage", big, "--to", nodes.dir), end(first)]
    losers = [d for d in done if d.returncode != 0]
    assert len(losers) < 2, done  # at least one wins
    for loser in losers:
        assert_refused(loser, "another job is staging")
    assert nodes.run(4, "verify", nodes.dir).returncode == 0
    assert nodes.left(0) == ["n0/env"]


# --- layouts of ranks ---


def test_the_same_host_name_twice(nodes, archive, assert_staged):
    done = nodes.run(3, "stage", archive("tar.gz"), "--to", nodes.dir, HOSTS="n0,n1,n0")
    assert done.returncode == 0, done.stderr
    assert_staged(0, 1)


def test_uneven_ranks_per_node(nodes, archive, assert_staged):
    done = nodes.run(3, "stage", archive("tar.gz"), "--to", nodes.dir, HOSTS="n0:3,n1:1,n2:2")
    assert done.returncode == 0, done.stderr
    assert_staged(0, 1, 2)


def test_two_nodes_on_one_file_system_are_one_place(nodes, area, archive):
    shared = area / "shared"
    shared.mkdir()
    for i in 0, 1:
        nodes.mount("--bind", shared, nodes.node(i))
    done = nodes.run(2, "stage", archive("tar.gz"), "--to", nodes.dir)
    assert done.returncode == 0, done.stderr
    assert os.listdir(shared) == ["env"]


# --- what is there already ---


@pytest.fixture
def staged(nodes, assert_next_succeeds):
    """Nodes with the environment staged from a.tar.zst."""
    assert_next_succeeds()
    return nodes


def test_the_same_archive_again_touches_nothing(staged, archive):
    before = os.stat(staged.node(0) / "env").st_ctime_ns
    assert "nothing to do" in staged.run(4, "stage", archive("tar.zst"), "--to", staged.dir).stdout
    assert os.stat(staged.node(0) / "env").st_ctime_ns == before


def test_another_archive_needs_force(staged, archive, assert_refused):
    assert_refused(staged.run(4, "stage", archive("tar.gz"), "--to", staged.dir), "another staged environment")


def test_a_changed_tree_needs_force(staged, archive, assert_refused, assert_staged):
    with open(staged.node(2) / "env/d1/f1.py", "a", encoding="ascii") as f:
        f.write("changed\n")
    assert "d1/f1.py: its size has changed" in staged.run(4, "verify", staged.dir).stderr
    assert_refused(staged.run(4, "stage", archive("tar.zst"), "--to", staged.dir), "rank 2.*has changed since")
    done = staged.run(4, "stage", archive("tar.gz"), "--to", staged.dir, "--force")
    assert done.returncode == 0, done.stderr
    assert_staged(2)
    assert staged.left(2) == ["n2/env"]  # and nothing old


def test_verify_reads_contents(staged, environment):
    data = staged.node(1) / "env/d1/data"
    with open(data, "r+b") as f:
        f.seek(5000)
        old = f.read(1)
        f.seek(5000)
        f.write(b"x" if old != b"x" else b"y")
    subprocess.run(["touch", "-r", environment / "d1/data", data], check=True)
    assert re.search("rank 1.*d1/data: its contents have changed", staged.run(4, "verify", staged.dir).stderr)


def test_clean_keeps_what_stage_did_not_make(staged):
    mine = staged.node(3) / "env/d1/mine"
    mine.touch()
    assert staged.run(4, "clean", staged.dir).returncode != 0
    assert mine.exists()
    assert staged.left(0, 1, 2) == []
    staged.run(4, "clean", staged.dir, "--force")
    assert staged.left(3) == []


def test_a_dir_that_stage_did_not_make(nodes, archive, assert_refused):
    """It is never replaced, and never cleaned."""
    precious = nodes.node(1) / "env/file"
    precious.parent.mkdir()
    precious.write_text("precious\n")
    assert_refused(nodes.run(4, "stage", archive("tar.gz"), "--to", nodes.dir, "--force"), "rank 1.*was not made by")
    assert precious.read_text() == "precious\n"
    nodes.run(4, "clean", nodes.dir, "--force")
    assert precious.exists()


# --- names of DIR, options, output ---


@pytest.mark.parametrize("root", ["/", "//", "/.", "/.."])
def test_the_root_directory_is_no_destination(nodes, archive, assert_refused, root):
    assert_refused(nodes.run(1, "stage", archive("tar.gz"), "--to", root, "--force"), "cannot be the destination")


def test_dry_run(nodes, archive):
    assert "would stage" in nodes.run(4, "stage", archive("tar.gz"), "--to", nodes.dir, "--dry-run").stdout
    assert nodes.left() == []


def test_json(nodes, archive):
    said = json.loads(nodes.run(4, "stage", archive("tar.gz"), "--to", nodes.dir, "--json").stdout)
    assert said["nodes"] == 4 and said["outcome"] == "staged", said
    said = json.loads(nodes.run(2, "stage", archive("tar.gz"), "--to", nodes.dir, "--force", "--time", "--json").stdout)
    assert said["mib_per_second"] > 0, said


def test_json_of_a_name_that_is_not_utf8(nodes, archive):
    done = nodes.run(1, "stage", archive("tar.gz"), "--to", os.fsencode(nodes.local) + b"/no\xffwhere/env", "--json", PPN="1")
    said = json.loads(done.stdout)
    assert said["dir"].endswith("no\\377where/env"), said


def test_list(staged):
    assert re.search(f"{staged.dir}.*staged.*a.tar.zst", staged.run(1, "list", staged.local).stdout)


def test_the_old_tools_usage(nodes, archive, assert_staged):
    done = nodes.run(4, "-v", "-p", nodes.dir, archive("tar.gz"))
    assert done.returncode == 0, done.stderr
    assert_staged(3)


def test_no_archive(nodes, assert_refused):
    assert_refused(nodes.run(2, "stage", nodes.area / "missing.tar", "--to", nodes.local / "none"), "missing.tar.*No such file")


def test_no_parent_directory(nodes, archive, assert_refused):
    assert_refused(nodes.run(2, "stage", archive("tar.gz"), "--to", nodes.local / "no/where"), "No such file")


def test_no_parent_directory_on_one_node_is_one_failed_node(nodes, archive):
    """However many ranks the node has."""
    (nodes.node(0) / "sub").mkdir()  # and not on node 1, of which two ranks see that
    failed = nodes.area / "failed"
    done = nodes.run(2, "stage", archive("tar.gz"), "--to", nodes.local / "sub/env", "--allow-failed", 1,
                     "--failed-nodes", failed, PPN="2")
    assert done.returncode == 0, done.stderr
    assert len(failed.read_text().splitlines()) == 1
    assert (nodes.node(0) / "sub/env/d1/data").exists()
