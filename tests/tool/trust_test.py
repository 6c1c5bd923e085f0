# SPDX-License-Identifier: BSD-3-Clause
"""Two users on one node: the tool neither believes, nor runs, nor removes what another user has put there, and other users
cannot stop it."""

import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess

import pytest
from support import call

VICTIM, ATTACKER = "daemon", "nobody"


class Users:
    """Two users, a copy of the tool that both can run, and a directory `tmp` that is like /tmp.

    good, evil  archives; the command `python` of the environments says which it is
    dir         DIR of the tests
    """

    def __init__(self, area, program):
        self.area, self.program = area, area / "pmb"
        self.archives, self.tmp = area / "archives", area / "tmp"
        self.dir = self.tmp / "env"
        self.archives.mkdir()
        self.archives.chmod(0o1777)
        shutil.copy(program, self.program)
        self.program.chmod(0o755)
        self.good = self.pack(VICTIM, self.make_environment("good"))
        self.evil = self.pack(ATTACKER, self.make_environment("evil"))

    def make_environment(self, name):
        top = self.area / name
        (top / "bin").mkdir(parents=True)
        (top / "bin/python").write_text(f"#!/bin/sh\necho {name}\n")
        (top / "bin/python").chmod(0o755)
        return top

    def pack(self, user, top):
        archive = self.archives / f"{top.name}.tar.gz"
        self.must(user, "pack", top, "-o", archive)
        archive.chmod(0o644)
        return archive

    def run_as(self, user, *command):
        """Runs a command as this user; returns the CompletedProcess."""
        return call("runuser", "-u", user, "--", *command, cwd=self.area, errors="surrogateescape")

    def run(self, user, *words):
        """Runs the tool as this user; returns the CompletedProcess."""
        return self.run_as(user, self.program, *words)

    def must(self, user, *words):
        done = self.run(user, *words)
        assert done.returncode == 0, done.stderr
        return done


@pytest.fixture(scope="module")
def users_of_module(area, program):
    return Users(area, program)


@pytest.fixture
def users(users_of_module):
    """Two users (Users); `tmp` is empty."""
    users_of_module.tmp.mkdir()
    users_of_module.tmp.chmod(0o1777)
    yield users_of_module
    shutil.rmtree(users_of_module.tmp)


def chown(user, *paths):
    for path in paths:
        shutil.chown(path, user)


# --- another user's DIR ---


@pytest.fixture
def planted(users):
    """The attacker's DIR, which says that it was staged from the victim's archive."""
    users.must(ATTACKER, "stage", users.good, "--to", users.tmp / "copy")
    users.must(ATTACKER, "stage", users.evil, "--to", users.dir)
    done = users.run_as(ATTACKER, "cp", users.tmp / "copy/.python-mpi-bcast/state", users.dir / ".python-mpi-bcast/state")
    assert done.returncode == 0
    return users


@pytest.mark.parametrize("command", [
    "stage GOOD --to DIR", "stage GOOD --to DIR --force", "run DIR -- python", "activate DIR", "verify DIR",
    "clean DIR", "clean DIR --force"])
def test_another_users_dir(planted, assert_refused, command):
    done = planted.run(VICTIM, *command.replace("GOOD", str(planted.good)).replace("DIR", str(planted.dir)).split())
    assert_refused(done, "belongs to another user")
    assert done.stdout == ""
    assert (planted.dir / "bin/python").exists()
    assert planted.run(ATTACKER, "run", planted.dir, "--", "python").stdout == "evil\n"


def test_roots_dir_is_trusted(users):
    users.must("root", "stage", users.good, "--to", users.dir)
    assert users.run(VICTIM, "run", users.dir, "--", "python").stdout == "good\n"


# --- the modes of DIR and of what is in it ---


@pytest.fixture
def staged(users):
    """The victim's staged DIR."""
    users.must(VICTIM, "stage", users.good, "--to", users.dir)
    return users


@pytest.mark.parametrize("writer", [stat.S_IWGRP, stat.S_IWOTH])
@pytest.mark.parametrize("name", [".", ".python-mpi-bcast", ".python-mpi-bcast/state", ".python-mpi-bcast/manifest"])
def test_what_others_may_write_is_not_believed(staged, assert_refused, name, writer):
    path = staged.dir / name
    path.chmod(stat.S_IMODE(path.stat().st_mode) | writer)
    assert_refused(staged.run(VICTIM, "stage", staged.good, "--to", staged.dir), "other users may write")
    assert_refused(staged.run(VICTIM, "run", staged.dir, "--", "python"), "other users may write")


def test_another_users_state_is_not_believed(staged, assert_refused):
    chown(ATTACKER, staged.dir / ".python-mpi-bcast/state")
    assert_refused(staged.run(VICTIM, "stage", staged.good, "--to", staged.dir), "state.*belongs to another user")


@pytest.fixture(scope="module")
def loose(users_of_module):
    """A tree that everybody may write to, in two archives: of `pack`, and of tar."""
    area = users_of_module.area
    (area / "loose/bin").mkdir(parents=True)
    (area / "loose/bin/x").write_text("x\n")
    for path in (area / "loose", area / "loose/bin", area / "loose/bin/x"):
        path.chmod(0o777)
    users_of_module.pack("root", area / "loose")
    plain = users_of_module.archives / "plain.tar.gz"
    subprocess.run(["tar", "-C", area / "loose", "-czf", plain, "."], check=True)
    plain.chmod(0o644)


@pytest.mark.parametrize("name", ["loose", "plain"])
def test_others_cannot_write_what_is_staged(users, loose, name):
    users.must(VICTIM, "stage", users.archives / f"{name}.tar.gz", "--to", users.dir)
    found = [users.dir, *users.dir.rglob("*")]
    assert [path for path in found if not path.is_symlink() and path.stat().st_mode & 0o022] == []
    users.must(VICTIM, "verify", users.dir)


# --- the way to DIR ---


@pytest.fixture
def ways(users):
    """Directories in `tmp`: open (everybody's), open/sticky, his (the attacker's), mine (the victim's). Symlinks to mine:
    hislink, mylink; to hislink: tohislink."""
    for name, mode in ("open", 0o777), ("his", 0o1777), ("mine", 0o755), ("open/sticky", 0o1777):
        (users.tmp / name).mkdir()
        (users.tmp / name).chmod(mode)
    chown(ATTACKER, users.tmp / "his")
    chown(VICTIM, users.tmp / "mine")
    for user, target, name in (ATTACKER, "mine", "hislink"), (VICTIM, "mine", "mylink"), (VICTIM, "hislink", "tohislink"):
        assert users.run_as(user, "ln", "-s", target, users.tmp / name).returncode == 0
    return users


@pytest.mark.parametrize("way", ["open", "open/sticky", "his"])
def test_a_way_that_others_may_change(ways, assert_refused, way):
    assert_refused(ways.run(VICTIM, "stage", ways.good, "--to", ways.tmp / way / "env"), "could replace")
    assert list((ways.tmp / way).rglob("env*")) == []


@pytest.mark.parametrize("way", ["hislink", "tohislink"])
def test_a_way_through_another_users_symlink(ways, assert_refused, way):
    assert_refused(ways.run(VICTIM, "stage", ways.good, "--to", ways.tmp / way / "env"), "belongs to another user")
    assert os.listdir(ways.tmp / "mine") == []


@pytest.mark.parametrize("way", ["mylink", "./mine", "mine/../mine"])
def test_a_good_way(ways, way):
    ways.must(VICTIM, "stage", ways.good, "--to", ways.tmp / "mine/env", "--force")
    assert ways.run(VICTIM, "run", f"{ways.tmp}/{way}/env", "--", "python").stdout == "good\n"


def test_run_through_another_users_symlink(ways, assert_refused):
    ways.must(VICTIM, "stage", ways.good, "--to", ways.tmp / "mine/env")
    assert_refused(ways.run(VICTIM, "run", ways.tmp / "hislink/env", "--", "python"), "belongs to another user")


@pytest.mark.parametrize("command", ["run DIR -- python", "activate DIR", "verify DIR", "clean DIR"])
def test_a_dir_that_others_may_replace(ways, assert_refused, command):
    ways.must(VICTIM, "stage", ways.good, "--to", ways.tmp / "mine/env")
    chown(VICTIM, ways.tmp / "open")
    (ways.tmp / "open").chmod(0o757)
    assert ways.run_as(VICTIM, "cp", "-r", ways.tmp / "mine/env", ways.tmp / "open/env").returncode == 0
    assert_refused(ways.run(VICTIM, *command.replace("DIR", f"{ways.tmp}/open/env").split()), "could replace")


# --- names beside DIR ---


def mark(path):
    """Makes a directory that has the mark of a partial copy."""
    (path / ".python-mpi-bcast").mkdir(parents=True)
    (path / ".python-mpi-bcast/partial").write_text("python-mpi-bcast-partial 1\n0\n")


class Lock:
    """A process of a user that holds the lock of a file until release()."""

    def __init__(self, user, path):
        self.process = subprocess.Popen(["runuser", "-u", user, "--", "flock", path, "sh", "-c", "echo locked; exec sleep 60"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout.readline() == "locked\n"

    def release(self):
        """Kills the processes, of which each holds the lock's descriptor, and waits until they have ended."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def lock():
    """Locks a file as a user (Lock)."""
    made = []

    def take(user, path):
        made.append(Lock(user, path))
        return made[-1]
    yield take
    for one in made:
        if one.process.poll() is None:
            one.release()


def all_below(top, without=None):
    return sorted(str(path) for path in top.rglob("*") if without is None or without not in (path, *path.parents))


@pytest.fixture
def neighbours(users, lock):
    """Names beside DIR, of which only env.partial-...5 is the copy of a dead job of the victim."""
    tmp = users.tmp
    for name in "results", "0000000000000001", "ABCDEF0000000001":
        (tmp / f"env.partial-{name}").mkdir()
    for name in "results/data", "0000000000000001/data", "notes.txt", "0000000000000002":
        (tmp / f"env.partial-{name}").write_text("precious\n")
    for name in "ABCDEF0000000001", "00000000000000011", "0000000000000005":
        mark(tmp / f"env.partial-{name}")
    (tmp / "env.partial-0000000000000003").symlink_to("env.partial-results")
    call("chown", "-R", VICTIM, tmp)
    chown("root", tmp)
    tmp.chmod(0o1777)
    mark(tmp / "env.partial-0000000000000004")
    call("chown", "-R", ATTACKER, tmp / "env.partial-0000000000000004")
    assert users.run_as(ATTACKER, "touch", tmp / "env.partial-lock").returncode == 0
    lock(ATTACKER, tmp / "env.partial-0000000000000004/.python-mpi-bcast/partial")
    lock(ATTACKER, tmp / "env.partial-lock")
    return users


def test_other_names_stay_and_stop_nobody(neighbours):
    tmp = neighbours.tmp
    before = sorted(name for name in os.listdir(tmp) if not name.endswith("0005"))
    neighbours.must(VICTIM, "stage", neighbours.good, "--to", neighbours.dir)
    assert sorted(name for name in os.listdir(tmp) if name != "env") == before
    for name in "results/data", "0000000000000001/data", "0000000000000002":
        assert (tmp / f"env.partial-{name}").read_text() == "precious\n"
    assert not (tmp / "env.partial-0000000000000005").exists()
    before = all_below(tmp, without=neighbours.dir)
    neighbours.must(VICTIM, "clean", neighbours.dir)
    assert all_below(tmp, without=neighbours.dir) == before


@pytest.mark.parametrize("digit", ["0", "f"])
def test_a_live_copy_of_the_same_user_is_another_job(users, lock, assert_refused, digit):
    """Whichever name comes first."""
    live = pathlib.Path(f"{users.dir}.partial-{digit * 16}")
    mark(live)
    call("chown", "-R", VICTIM, live)
    held = lock(VICTIM, live / ".python-mpi-bcast/partial")
    assert_refused(users.run(VICTIM, "stage", users.good, "--to", users.dir), "another job is staging")
    assert os.listdir(users.tmp) == [live.name]
    held.release()
    users.must(VICTIM, "stage", users.good, "--to", users.dir)
    assert os.listdir(users.tmp) == ["env"]


# --- what is planted elsewhere ---


def test_list_shows_no_control_characters_and_is_not_stopped_by_a_fifo(users):
    (users.tmp / "fifo/.python-mpi-bcast").mkdir(parents=True)
    os.mkfifo(users.tmp / "fifo/.python-mpi-bcast/state")
    (users.tmp / "esc\x1b[1m/.python-mpi-bcast").mkdir(parents=True)
    (users.tmp / "esc\x1b[1m/.python-mpi-bcast/state").write_text("python-mpi-bcast-state 1\narchive 1 \x1b]0;x\a\n")
    done = users.must(VICTIM, "list", users.tmp)
    assert "esc" in done.stdout
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", done.stdout), done.stdout


def test_pack_follows_no_planted_name(users):
    precious = users.area / "precious"
    precious.write_text("mine\n")
    precious.chmod(0o666)
    drop = users.tmp / "drop"
    drop.mkdir()
    drop.chmod(0o777)
    (drop / "a.tar.partial").symlink_to(precious)
    users.must(VICTIM, "pack", users.area / "good", "-o", drop / "a.tar")
    assert precious.read_text() == "mine\n"


def test_run_puts_no_current_directory_on_the_path(staged):
    done = staged.run_as(VICTIM, "env", "PATH=", staged.program, "run", staged.dir, "--", "/usr/bin/env")
    assert f"PATH={staged.dir}/bin" in done.stdout.splitlines()
