"""The emulated shared file system: exact counts, one queue for all mounts, and the same answers as a plain directory."""

import ctypes
import mmap
import os
import pathlib
import random
import shutil
import signal
import subprocess
import threading
import time

from harness import FOREVER, SHAREDFS, SharedFs, call, main


class Counts(SharedFs):
    """A client that never forgets asks for everything once."""

    def setUp(self):
        super().setUp()
        (self.source / "file").write_bytes(b"x" * 5000)
        (self.source / "dir").mkdir()
        (self.source / "dir/inner").write_text("inner")
        (self.source / "link").symlink_to("file")
        self.mnt = self.mount(*FOREVER, "--read-only")

    def test_lookups_hit_and_miss_once(self):
        for _ in range(3):
            os.stat(self.mnt / "file")
            self.assertFalse(os.path.exists(self.mnt / "missing"))
        self.assertEqual(self.ops(), {"lookup": 1, "lookup_negative": 1})
        self.assertEqual(self.stats()["metadata_ops"], 2)

    def test_one_lookup_a_component(self):
        os.stat(self.mnt / "dir/inner")
        self.assertEqual(self.ops(), {"lookup": 2})

    def test_bytes_and_opens(self):
        for _ in range(2):
            self.assertEqual((self.mnt / "file").read_bytes(), b"x" * 5000)
        ops = self.ops()
        self.assertEqual((ops["open"], ops["read"], ops["lookup"]), (2, 1, 1))
        stats = self.stats()
        self.assertEqual((stats["read_bytes"], stats["metadata_ops"]), (5000, 3))

    def test_links_are_cached(self):
        for _ in range(2):
            self.assertEqual(os.readlink(self.mnt / "link"), "file")
        self.assertEqual(self.ops(), {"lookup": 1, "readlink": 1})

    def test_listing_is_revalidated_not_read_again(self):
        self.assertEqual(sorted(os.listdir(self.mnt)), ["dir", "file", "link"])
        first = self.ops()
        self.assertEqual(first["opendir"], 1)
        self.assertNotIn("lookup", first)
        os.listdir(self.mnt)
        second = self.ops()
        self.assertEqual((second["opendir"], second["readdir"]), (2, first["readdir"]))

    def test_statfs_is_always_asked(self):
        os.statvfs(self.mnt / "file")
        os.statvfs(self.mnt / "file")
        self.assertEqual(self.ops(), {"lookup": 1, "statfs": 2})

    def test_access_and_xattr_are_no_server_work(self):
        os.access(self.mnt / "file", os.R_OK)
        for _ in range(2):
            with self.assertRaises(OSError):
                os.getxattr(self.mnt / "file", "user.x")
        self.assertEqual(self.ops(), {"lookup": 1, "xattr": 1})
        self.assertEqual(self.stats()["metadata_ops"], 1)

    def test_reset(self):
        os.stat(self.mnt / "file")
        self.reset()
        self.assertEqual(self.ops(), {})
        os.stat(self.mnt / "dir")
        self.assertEqual(self.ops(), {"lookup": 1})


class WriteCounts(SharedFs):
    def test_scripted_changes(self):
        mnt = self.mount(*FOREVER)
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
        ops = self.ops()
        expected = {"create": 1, "write": 1, "fsync": 1, "mkdir": 1, "rename": 1, "link": 1, "symlink": 1,
                    "setattr": 2, "unlink": 1}
        self.assertEqual({op: ops.get(op) for op in expected}, expected)
        self.assertEqual(self.stats()["write_bytes"], 8)
        self.assertEqual((self.source / "d/b").read_bytes(), b"123")

    def test_without_timeouts_names_are_asked_again(self):
        (self.source / "file").touch()
        mnt = self.mount("--entry-timeout", 0, "--negative-timeout", 0, "--attr-timeout", 0)
        for _ in range(3):
            os.stat(mnt / "file")
            os.path.exists(mnt / "missing")
        ops = self.ops()
        self.assertEqual((ops["lookup"], ops["lookup_negative"]), (3, 3))


class Sharing(SharedFs):
    """Several mounts of one source are clients of one server."""

    def test_counts_by_node_and_in_total(self):
        (self.source / "file").write_text("data")
        nodes = [self.mount(*FOREVER, node=n) for n in (0, 1, 5)]
        for mnt in nodes:
            (mnt / "file").read_text()
        stats = self.stats()
        self.assertEqual([n["node"] for n in stats["nodes"]], [0, 1, 5])
        self.assertEqual({n["read_bytes"] for n in stats["nodes"]}, {4})
        self.assertEqual(stats["read_bytes"], 12)
        self.assertEqual(stats["metadata_ops"], sum(n["metadata_ops"] for n in stats["nodes"]))

    def in_parallel(self, work, mounts):
        threads = [threading.Thread(target=work, args=(mnt,)) for mnt in mounts]
        start = time.monotonic()
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        return time.monotonic() - start

    def test_one_metadata_server(self):
        """Two clients at once take at least the server's time for both; it cannot be less, however fast the machine."""
        mounts = [self.mount(*FOREVER, "--meta-us", 10000, node=n) for n in (0, 1)]
        seconds = self.in_parallel(lambda mnt: [os.path.exists(mnt / f"no{i}") for i in range(15)], mounts)
        self.assertEqual(self.ops(), {"lookup_negative": 30})
        self.assertGreaterEqual(seconds, 0.3)

    def test_round_trips_overlap(self):
        """A round trip is not a turn at the server: many in flight take little longer than one."""
        mnt = self.mount(*FOREVER, "--rtt", 100000)
        seconds = self.in_parallel(lambda name: os.path.exists(name), [mnt / f"no{i}" for i in range(20)])
        self.assertEqual(self.ops(), {"lookup_negative": 20})
        self.assertGreaterEqual(seconds, 0.1)
        self.assertLess(seconds, 1.5)

    def test_one_link(self):
        (self.source / "file").write_bytes(bytes(2_000_000))
        mounts = [self.mount(*FOREVER, "--bandwidth", 10, node=n) for n in (0, 1)]
        seconds = self.in_parallel(lambda mnt: (mnt / "file").read_bytes(), mounts)
        self.assertEqual(self.stats()["read_bytes"], 4_000_000)
        self.assertGreaterEqual(seconds, 0.4)

    def test_change_by_another_client_is_seen_at_open(self):
        one, two = (self.mount("--attr-timeout", 0, "--entry-timeout", 0, node=n) for n in (0, 1))
        (one / "file").write_text("first")
        self.assertEqual((two / "file").read_text(), "first")
        (one / "file").write_text("second, longer")
        self.assertEqual((two / "file").read_text(), "second, longer")


class Posix(SharedFs):
    """It answers as the file system beneath it."""

    def test_identity(self):
        (self.source / "a").write_text("x")
        os.link(self.source / "a", self.source / "b")
        mnt = self.mount()
        a, b, plain = os.stat(mnt / "a"), os.stat(mnt / "b"), os.stat(self.source / "a")
        self.assertEqual((a.st_ino, a.st_dev), (b.st_ino, b.st_dev))
        self.assertEqual((a.st_ino, a.st_nlink, a.st_mtime_ns), (plain.st_ino, 2, plain.st_mtime_ns))
        self.assertNotEqual(a.st_dev, plain.st_dev)
        self.assertEqual(a.st_dev, os.stat(mnt).st_dev)
        self.assertEqual({e.name: e.inode() for e in os.scandir(mnt)}["a"], plain.st_ino)

    def test_type_in_mountinfo(self):
        mnt = self.mount()
        lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
        [(kind, source)] = [l.split(" - ")[1].split()[:2] for l in lines if l.split()[4] == str(mnt)]
        self.assertRegex(kind, r"^fuse\.sharedfs@[0-9]+$")
        self.assertEqual(source, f"sharedfs:{self.state}")

    def test_readahead_is_set(self):
        mnt = self.mount("--readahead", 4096)
        dev = os.stat(mnt).st_dev
        setting = pathlib.Path(f"/sys/class/bdi/{os.major(dev)}:{os.minor(dev)}/read_ahead_kb")
        self.assertEqual(setting.read_text().strip(), "4096")

    def test_programs_run_and_map(self):
        shutil.copy("/bin/true", self.source / "true")
        (self.source / "data").write_bytes(b"0123456789" * 1000)
        mnt = self.mount()
        self.assertEqual(call(mnt / "true").returncode, 0)
        with open(mnt / "data", "r+b") as f, mmap.mmap(f.fileno(), 0) as m:
            self.assertEqual(m[9990:], b"0123456789")
            m[0:3] = b"abc"
            m.flush()
        self.assertEqual((self.source / "data").read_bytes()[:5], b"abc34")

    def test_unlinked_file_stays_open(self):
        mnt = self.mount()
        with open(mnt / "f", "w+b") as f:
            f.write(b"kept")
            f.flush()
            os.unlink(mnt / "f")
            self.assertEqual(os.fstat(f.fileno()).st_nlink, 0)
            f.seek(0)
            self.assertEqual(f.read(), b"kept")

    def test_new_files_belong_to_the_caller(self):
        self.source.chmod(0o777)
        mnt = self.mount()
        done = call("/usr/bin/python3", "-c", f"import os; os.mkdir('{mnt}/d'); open('{mnt}/d/f', 'w')",
                    user=1234, group=2345)
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in ("d", "d/f"):
            st = os.stat(self.source / name)
            self.assertEqual((st.st_uid, st.st_gid), (1234, 2345))

    def test_permissions_are_checked(self):
        (self.source / "secret").write_text("x")
        (self.source / "secret").chmod(0o600)
        done = call("cat", self.mount() / "secret", user=1234)
        self.assertIn("Permission denied", done.stderr)

    def test_large_directory(self):
        names = {f"file-with-a-rather-long-name-{i:05}" for i in range(3000)}
        for name in names:
            (self.source / name).touch()
        mnt = self.mount()
        self.assertEqual(set(os.listdir(mnt)), names)
        self.assertEqual(set(os.listdir(mnt)), names)

    def test_seek_in_directory(self):
        for i in range(500):
            (self.source / f"f{i}").touch()
        mnt, libc = self.mount(), ctypes.CDLL(None, use_errno=True)
        fd = os.open(mnt, os.O_RDONLY)
        self.addCleanup(os.close, fd)
        first = os.listdir(fd)
        libc.lseek(fd, 0, 0)
        self.assertEqual(os.listdir(fd), first)


def result_of(action, *args):
    """What a system call gives: its value, or the name of its error."""
    try:
        return action(*args)
    except OSError as error:
        return os.strerror(error.errno)


class Differential(SharedFs):
    """The same random calls on a mount and on a plain directory give the same results and leave the same tree."""

    names = ["a", "b", "c", "d", "d/a", "d/b", "d/e", "d/e/f", "missing/x"]

    def one_call(self, rng):
        """A random call, as a function of the tree's root."""
        name, other = rng.choice(self.names), rng.choice(self.names)
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

    def tree(self, root):
        out = {}
        for path, dirs, files in os.walk(root):
            for name in dirs + files:
                p = pathlib.Path(path, name)
                st = p.lstat()
                content = os.readlink(p) if p.is_symlink() else p.read_bytes() if p.is_file() else None
                out[str(p.relative_to(root))] = (st.st_mode, st.st_nlink if p.is_file() else 0, content)
        return out

    def check(self, seed, *options):
        plain, rng = self.scratch / "plain", random.Random(seed)
        plain.mkdir()
        mnt = self.mount(*options)
        for step in range(2500):
            action = self.one_call(rng)
            self.assertEqual(result_of(action, mnt), result_of(action, plain), f"seed {seed}, step {step}")
        self.assertEqual(self.tree(mnt), self.tree(plain))
        self.assertEqual(self.tree(self.source), self.tree(plain))

    def test_caching_for_ever(self):
        self.check(1, *FOREVER)

    def test_caching_nothing(self):
        self.check(2, "--attr-timeout", 0, "--entry-timeout", 0, "--negative-timeout", 0, "--no-keep-cache")


class CommandLine(SharedFs):
    def test_wrong_use_is_exit_2(self):
        for argv in ([], ["frob"], ["mount", "a"], ["mount", "a", "b"], ["stats"], ["mount", "a", "b", "c", "d"],
                     ["mount", "a", "b", "--state", "s", "--node", "64"], ["mount", "a", "b", "--rtt", "fast"],
                     ["--no-such-option"]):
            done = call(SHAREDFS, *argv)
            self.assertEqual(done.returncode, 2, argv)
            self.assertIn("sharedfs:", done.stderr)

    def test_failures_name_the_thing(self):
        (self.scratch / "junk").write_text("junk")
        for argv, name in ((["mount", "/nonexistent", self.source, "--state", self.state], "/nonexistent"),
                           (["mount", self.source, "/nonexistent", "--state", self.state], "/nonexistent"),
                           (["mount", self.source, self.source, "--state", self.scratch / "junk"], "junk"),
                           (["stats", "/nonexistent"], "/nonexistent"), (["umount", self.source], str(self.source))):
            done = call(SHAREDFS, *argv)
            self.assertEqual(done.returncode, 1, argv)
            self.assertIn(name, done.stderr)

    def server(self, mnt):
        lines = pathlib.Path("/proc/self/mounts").read_text().splitlines()
        return int(next(l.split()[2] for l in lines if l.split()[1] == str(mnt)).split("@")[1])

    def test_umount_waits_for_the_server(self):
        mnt = self.mount()
        pid = self.server(mnt)
        self.assertEqual(call(SHAREDFS, "umount", mnt).returncode, 0)
        self.assertFalse(os.path.ismount(mnt))
        status = pathlib.Path(f"/proc/{pid}/status")
        self.assertTrue(not status.exists() or "State:\tZ" in status.read_text())

    def test_busy_mount_is_said(self):
        mnt = self.mount()
        with subprocess.Popen(["sleep", "60"], cwd=mnt) as user:
            done = call(SHAREDFS, "umount", mnt)
            user.kill()
        self.assertEqual(done.returncode, 1)
        self.assertIn("busy", done.stderr)

    def test_killed_server_can_be_unmounted(self):
        mnt = self.mount()
        os.kill(self.server(mnt), signal.SIGKILL)
        time.sleep(0.2)
        self.assertEqual(call(SHAREDFS, "umount", mnt).returncode, 0)

    def test_until_ends_with_the_process(self):
        with subprocess.Popen(["sleep", "60"]) as other:
            mnt = self.mount("--until", other.pid)
            other.kill()
        deadline = time.monotonic() + 10
        while os.path.ismount(mnt) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertFalse(os.path.ismount(mnt))

    def test_mounted_over_its_source(self):
        (self.source / "file").write_text("below")
        done = call(SHAREDFS, "mount", self.source, self.source, "--state", self.state, "--until", os.getpid())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(call, SHAREDFS, "umount", self.source)
        self.assertEqual((self.source / "file").read_text(), "below")
        self.assertEqual(self.ops()["open"], 1)

    def test_log_names_path_and_caller(self):
        (self.source / "dir").mkdir()
        log = self.scratch / "log"
        mnt = self.mount("--log", log, *FOREVER, node=3)
        self.assertNotEqual(call("cat", mnt / "dir/nothing").returncode, 0)
        rows = [line.split("\t") for line in log.read_text().splitlines()]
        self.assertIn(["3", "lookup_negative", "cat", "0", "ENOENT", f"{self.source}/dir/nothing"],
                      [[r[1], r[2], *r[4:]] for r in rows])


if __name__ == "__main__":
    main()
