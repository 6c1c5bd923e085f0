# SPDX-License-Identifier: BSD-3-Clause
"""The emulated shared file system: exact counts, one queue for all mounts, and the same answers as a plain directory."""

import ctypes
import mmap
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
from support import call

# --- counts: a client that never forgets asks for everything once -------------------------------------------------


@pytest.fixture
def mnt(shared):
    """A read-only mount of a small tree, whose client caches everything for ever."""
    (shared.source / "file").write_bytes(b"x" * 5000)
    (shared.source / "dir").mkdir()
    (shared.source / "dir/inner").write_text("inner")
    (shared.source / "link").symlink_to("file")
    return shared.mount(*shared.forever, "--read-only")


def test_lookups_hit_and_miss_once(shared, mnt):
    for _ in range(3):
        os.stat(mnt / "file")
        assert not os.path.exists(mnt / "missing")
    assert shared.ops() == {"lookup": 1, "lookup_negative": 1}
    assert shared.stats()["metadata_ops"] == 2


def test_one_lookup_a_component(shared, mnt):
    os.stat(mnt / "dir/inner")
    assert shared.ops() == {"lookup": 2}


def test_bytes_and_opens(shared, mnt):
    for _ in range(2):
        assert (mnt / "file").read_bytes() == b"x" * 5000
    ops = shared.ops()
    assert (ops["open"], ops["read"], ops["lookup"]) == (2, 1, 1)
    stats = shared.stats()
    assert (stats["read_bytes"], stats["metadata_ops"]) == (5000, 3)


def test_links_are_cached(shared, mnt):
    for _ in range(2):
        assert os.readlink(mnt / "link") == "file"
    assert shared.ops() == {"lookup": 1, "readlink": 1}


def test_listing_is_revalidated_not_read_again(shared, mnt):
    assert sorted(os.listdir(mnt)) == ["dir", "file", "link"]
    first = shared.ops()
    assert first["opendir"] == 1
    assert "lookup" not in first
    os.listdir(mnt)
    second = shared.ops()
    assert (second["opendir"], second["readdir"]) == (2, first["readdir"])


def test_statfs_is_always_asked(shared, mnt):
    os.statvfs(mnt / "file")
    os.statvfs(mnt / "file")
    assert shared.ops() == {"lookup": 1, "statfs": 2}


def test_access_and_xattr_are_no_server_work(shared, mnt):
    os.access(mnt / "file", os.R_OK)
    for _ in range(2):
        with pytest.raises(OSError):
            os.getxattr(mnt / "file", "user.x")
    assert shared.ops() == {"lookup": 1, "xattr": 1}
    assert shared.stats()["metadata_ops"] == 1


def test_reset(shared, mnt):
    os.stat(mnt / "file")
    shared.reset()
    assert shared.ops() == {}
    os.stat(mnt / "dir")
    assert shared.ops() == {"lookup": 1}


# --- counts of changes ---------------------------------------------------------------------------------------------


def test_scripted_changes(shared):
    mnt = shared.mount(*shared.forever)
    fd = os.open(mnt / "a", os.O_CREAT | os.O_WRONLY, 0o640)
    os.write(fd, b"12345678")
    os.fsync(fd)
    os.close(fd)
    os.mkdir(mnt / "d")
    os.rename(mnt / "a", mnt / "d/b")
    os.link(mnt / "d/b", mnt / "d/c")
    os.symlink("b", mnt / "d/s")
    os.chmod(mnt / "d/b", 0o600)
    os.truncate(mnt / "d/b", 3)
    os.unlink(mnt / "d/c")
    ops = shared.ops()
    expected = {"create": 1, "write": 1, "fsync": 1, "mkdir": 1, "rename": 1, "link": 1, "symlink": 1,
                "setattr": 2, "unlink": 1}
    assert {op: ops.get(op) for op in expected} == expected
    assert shared.stats()["write_bytes"] == 8
    assert (shared.source / "d/b").read_bytes() == b"123"


def test_without_timeouts_names_are_asked_again(shared):
    (shared.source / "file").touch()
    mnt = shared.mount("--entry-timeout", 0, "--negative-timeout", 0, "--attr-timeout", 0)
    for _ in range(3):
        os.stat(mnt / "file")
        os.path.exists(mnt / "missing")
    ops = shared.ops()
    assert (ops["lookup"], ops["lookup_negative"]) == (3, 3)


# --- several mounts of one source are clients of one server --------------------------------------------------------


def test_counts_by_node_and_in_total(shared):
    (shared.source / "file").write_text("data")
    nodes = [shared.mount(*shared.forever, node=n) for n in (0, 1, 5)]
    for mnt in nodes:
        (mnt / "file").read_text()
    stats = shared.stats()
    assert [n["node"] for n in stats["nodes"]] == [0, 1, 5]
    assert {n["read_bytes"] for n in stats["nodes"]} == {4}
    assert stats["read_bytes"] == 12
    assert stats["metadata_ops"] == sum(n["metadata_ops"] for n in stats["nodes"])


def in_parallel(work, arguments):
    """Calls work(argument) for each argument at once, in threads; returns the seconds."""
    threads = [threading.Thread(target=work, args=(argument,)) for argument in arguments]
    start = time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return time.monotonic() - start


def test_one_metadata_server(shared):
    """Two clients at once take at least the server's time for both; it cannot be less, however fast the machine."""
    mounts = [shared.mount(*shared.forever, "--meta-us", 10000, node=n) for n in (0, 1)]
    seconds = in_parallel(lambda mnt: [os.path.exists(mnt / f"no{i}") for i in range(15)], mounts)
    assert shared.ops() == {"lookup_negative": 30}
    assert seconds >= 0.3


def test_round_trips_overlap(shared):
    """A round trip is not a turn at the server: many in flight take little longer than one."""
    mnt = shared.mount(*shared.forever, "--rtt", 100000)
    seconds = in_parallel(lambda name: os.path.exists(name), [mnt / f"no{i}" for i in range(20)])
    assert shared.ops() == {"lookup_negative": 20}
    assert seconds >= 0.1
    assert seconds < 1.5


def test_one_link(shared):
    (shared.source / "file").write_bytes(bytes(2_000_000))
    mounts = [shared.mount(*shared.forever, "--bandwidth", 10, node=n) for n in (0, 1)]
    seconds = in_parallel(lambda mnt: (mnt / "file").read_bytes(), mounts)
    assert shared.stats()["read_bytes"] == 4_000_000
    assert seconds >= 0.4


COMPUTE_AND_ASK = """
import os, sys, time
os.stat(sys.argv[1] + "/2")  # a thread is known from its first request on
begin, cpu = time.monotonic(), time.thread_time()
while time.thread_time() < cpu + 0.05:
    pass
os.stat(sys.argv[1] + "/1")
print((time.monotonic() - begin) / (time.thread_time() - cpu))
"""


def test_dilation_slows_the_server_and_the_computing(shared):
    for n in range(3):
        (shared.source / str(n)).touch()
    place = shared.mount("--rtt", "100", "--dilate", "10")
    begin = time.monotonic()
    os.stat(place / "0")
    assert time.monotonic() - begin >= 0.001
    done = call("/usr/bin/python3", "-c", COMPUTE_AND_ASK, place)
    assert float(done.stdout) >= 9.9, done.stderr


def test_change_by_another_client_is_seen_at_open(shared):
    one, two = (shared.mount("--attr-timeout", 0, "--entry-timeout", 0, node=n) for n in (0, 1))
    (one / "file").write_text("first")
    assert (two / "file").read_text() == "first"
    (one / "file").write_text("second, longer")
    assert (two / "file").read_text() == "second, longer"


# --- it answers as the file system beneath it ----------------------------------------------------------------------


def test_identity(shared):
    (shared.source / "a").write_text("x")
    os.link(shared.source / "a", shared.source / "b")
    mnt = shared.mount()
    a, b, plain = os.stat(mnt / "a"), os.stat(mnt / "b"), os.stat(shared.source / "a")
    assert (a.st_ino, a.st_dev) == (b.st_ino, b.st_dev)
    assert (a.st_ino, a.st_nlink, a.st_mtime_ns) == (plain.st_ino, 2, plain.st_mtime_ns)
    assert a.st_dev != plain.st_dev
    assert a.st_dev == os.stat(mnt).st_dev
    assert {e.name: e.inode() for e in os.scandir(mnt)}["a"] == plain.st_ino


def test_type_in_mountinfo(shared):
    mnt = shared.mount()
    lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    [(kind, source)] = [l.split(" - ")[1].split()[:2] for l in lines if l.split()[4] == str(mnt)]
    assert re.search(r"^fuse\.sharedfs@[0-9]+$", kind)
    assert source == f"sharedfs:{shared.state}"


def test_readahead_is_set(shared):
    mnt = shared.mount("--readahead", 4096)
    dev = os.stat(mnt).st_dev
    setting = pathlib.Path(f"/sys/class/bdi/{os.major(dev)}:{os.minor(dev)}/read_ahead_kb")
    assert setting.read_text().strip() == "4096"


def test_programs_run_and_map(shared):
    shutil.copy("/bin/true", shared.source / "true")
    (shared.source / "data").write_bytes(b"0123456789" * 1000)
    mnt = shared.mount()
    assert call(mnt / "true").returncode == 0
    with open(mnt / "data", "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
        assert m[9990:] == b"0123456789"
        m[0:3] = b"abc"
        m.flush()
    assert (shared.source / "data").read_bytes()[:5] == b"abc34"


def test_unlinked_file_stays_open(shared):
    mnt = shared.mount()
    with open(mnt / "f", "w+b") as f:
        f.write(b"kept")
        f.flush()
        os.unlink(mnt / "f")
        assert os.fstat(f.fileno()).st_nlink == 0
        f.seek(0)
        assert f.read() == b"kept"


def test_new_files_belong_to_the_caller(shared):
    shared.source.chmod(0o777)
    mnt = shared.mount()
    done = call("/usr/bin/python3", "-c", f"import os; os.mkdir('{mnt}/d'); open('{mnt}/d/f', 'w')",
                user=1234, group=2345)
    assert done.returncode == 0, done.stderr
    for name in ("d", "d/f"):
        st = os.stat(shared.source / name)
        assert (st.st_uid, st.st_gid) == (1234, 2345)


def test_permissions_are_checked(shared):
    (shared.source / "secret").write_text("x")
    (shared.source / "secret").chmod(0o600)
    done = call("cat", shared.mount() / "secret", user=1234)
    assert "Permission denied" in done.stderr


def test_large_directory(shared):
    names = {f"file-with-a-rather-long-name-{i:05}" for i in range(3000)}
    for name in names:
        (shared.source / name).touch()
    mnt = shared.mount()
    assert set(os.listdir(mnt)) == names
    assert set(os.listdir(mnt)) == names


def test_seek_in_directory(shared):
    for i in range(500):
        (shared.source / f"f{i}").touch()
    mnt, libc = shared.mount(), ctypes.CDLL(None, use_errno=True)
    fd = os.open(mnt, os.O_RDONLY)
    first = os.listdir(fd)
    libc.lseek(fd, 0, 0)
    assert os.listdir(fd) == first
    os.close(fd)


def result_of(action, *args):
    """The value of a system call, or the text of its error."""
    try:
        return action(*args)
    except OSError as error:
        return os.strerror(error.errno)


# --- random calls on a mount and on a plain directory: the same results, the same tree -----------------------------


NAMES = ["a", "b", "c", "d", "d/a", "d/b", "d/e", "d/e/f", "missing/x"]


def one_call(rng):
    """A random call, as a function of the tree's root."""
    name, other = rng.choice(NAMES), rng.choice(NAMES)
    offset, size, mode = rng.randrange(20000), rng.randrange(9000), rng.choice([0o600, 0o644, 0o755])
    flags = rng.choice([os.O_RDWR, os.O_RDWR | os.O_CREAT, os.O_RDWR | os.O_CREAT | os.O_EXCL,
                        os.O_RDWR | os.O_CREAT | os.O_TRUNC, os.O_WRONLY | os.O_APPEND])
    data = bytes([rng.randrange(256)]) * size

    def write(root):
        fd = os.open(root / name, flags, mode)
        try:
            return os.pwrite(fd, data, offset), os.fstat(fd).st_size
        finally:
            os.close(fd)

    def read(root):
        with open(root / name, "rb") as f:
            f.seek(offset)
            return f.read(size)

    def stat(root):
        st = os.lstat(root / name)
        size = st.st_size if not os.path.isdir(root / name) else 0
        return st.st_mode, st.st_nlink, size, st.st_uid

    return rng.choice([
        write, write, write, read, read, stat, stat,
        lambda root: os.truncate(root / name, offset),
        lambda root: os.mkdir(root / name, mode),
        lambda root: os.rmdir(root / name),
        lambda root: os.unlink(root / name),
        lambda root: os.rename(root / name, root / other),
        lambda root: os.link(root / name, root / other),
        lambda root: os.symlink(other, root / name),
        lambda root: os.readlink(root / name),
        lambda root: os.chmod(root / name, mode),
        lambda root: os.utime(root / name, ns=(offset, size * 10**9), follow_symlinks=False),
        lambda root: sorted(os.listdir(root / name)),
    ])


def tree(root):
    """All that is below `root`: relative path: (mode, links, content)."""
    out = {}
    for path, dirs, files in os.walk(root):
        for name in dirs + files:
            p = pathlib.Path(path, name)
            st = p.lstat()
            content = os.readlink(p) if p.is_symlink() else p.read_bytes() if p.is_file() else None
            out[str(p.relative_to(root))] = (st.st_mode, st.st_nlink if p.is_file() else 0, content)
    return out


def check_same_as_plain(shared, seed, *options):
    plain, rng = shared.scratch / "plain", random.Random(seed)
    plain.mkdir()
    mnt = shared.mount(*options)
    for step in range(2500):
        action = one_call(rng)
        assert result_of(action, mnt) == result_of(action, plain), f"seed {seed}, step {step}"
    assert tree(mnt) == tree(plain)
    assert tree(shared.source) == tree(plain)


def test_caching_for_ever(shared):
    check_same_as_plain(shared, 1, *shared.forever)


def test_caching_nothing(shared):
    check_same_as_plain(shared, 2, "--attr-timeout", 0, "--entry-timeout", 0, "--negative-timeout", 0, "--no-keep-cache")


# --- the command line ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [
    [], ["frob"], ["mount", "a"], ["mount", "a", "b"], ["stats"], ["mount", "a", "b", "c", "d"],
    ["mount", "a", "b", "--state", "s", "--node", "64"], ["mount", "a", "b", "--rtt", "fast"], ["--no-such-option"]])
def test_wrong_use_is_exit_2(sharedfs, words):
    done = sharedfs(*words)
    assert done.returncode == 2
    assert "sharedfs:" in done.stderr


def test_failures_name_the_thing(shared, sharedfs):
    (shared.scratch / "junk").write_text("junk")
    for argv, name in ((["mount", "/nonexistent", shared.source, "--state", shared.state], "/nonexistent"),
                       (["mount", shared.source, "/nonexistent", "--state", shared.state], "/nonexistent"),
                       (["mount", shared.source, shared.source, "--state", shared.scratch / "junk"], "junk"),
                       (["stats", "/nonexistent"], "/nonexistent"), (["umount", shared.source], str(shared.source))):
        done = sharedfs(*argv)
        assert done.returncode == 1, argv
        assert name in done.stderr


def server_of(mnt):
    """The pid of the server, from the type of the mount."""
    lines = pathlib.Path("/proc/self/mounts").read_text().splitlines()
    return int(next(l.split()[2] for l in lines if l.split()[1] == str(mnt)).split("@")[1])


def test_umount_waits_for_the_server(shared, sharedfs):
    mnt = shared.mount()
    pid = server_of(mnt)
    assert sharedfs("umount", mnt).returncode == 0
    assert not os.path.ismount(mnt)
    status = pathlib.Path(f"/proc/{pid}/status")
    assert not status.exists() or "State:\tZ" in status.read_text()


def test_busy_mount_is_said(shared, sharedfs):
    mnt = shared.mount()
    with subprocess.Popen(["sleep", "60"], cwd=mnt) as user:
        done = sharedfs("umount", mnt)
        user.kill()
    assert done.returncode == 1
    assert "busy" in done.stderr


def test_killed_server_can_be_unmounted(shared, sharedfs):
    mnt = shared.mount()
    os.kill(server_of(mnt), signal.SIGKILL)
    time.sleep(0.2)
    assert sharedfs("umount", mnt).returncode == 0


def test_until_ends_with_the_process(shared):
    with subprocess.Popen(["sleep", "60"]) as other:
        mnt = shared.mount("--until", other.pid)
        other.kill()
    deadline = time.monotonic() + 10
    while os.path.ismount(mnt) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not os.path.ismount(mnt)


def test_mounted_over_its_source(shared):
    (shared.source / "file").write_text("below")
    shared.mount_at(shared.source)
    assert (shared.source / "file").read_text() == "below"
    assert shared.ops()["open"] == 1


def test_log_names_path_and_caller(shared):
    (shared.source / "dir").mkdir()
    log = shared.scratch / "log"
    mnt = shared.mount("--log", log, *shared.forever, node=3)
    assert call("cat", mnt / "dir/nothing").returncode != 0
    rows = [line.split("\t") for line in log.read_text().splitlines()]
    assert ["3", "lookup_negative", "cat", "0", "ENOENT", f"{shared.source}/dir/nothing", "0"] in [
        [r[1], r[2], *r[4:]] for r in rows]
