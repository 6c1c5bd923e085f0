"""Emulated nodes: each is a mount namespace with its own client; everything passes through; nothing is left behind."""

import os
import pathlib
import signal
import subprocess
import time

from harness import FOREVER, ROOT, SharedFs, call, main

MPIEXEC_NODES = ROOT / "bench/emulator/nodes/mpiexec-nodes"


def processes_with(token):
    """The pids of processes whose command line or environment holds the token."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                if token.encode() in (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                pass
    return found


class Nodes(SharedFs):
    def setUp(self):
        super().setUp()
        (self.source / "file").write_text("shared")
        self.token = f"TOKEN{os.getpid()}-{self.id()}"
        self.env = {**os.environ, "JOB_TOKEN": self.token}

    def argv(self, nodes, ranks, *command, options=(), share=True):
        shared = ["--share-dir", self.source, "--state", self.state, *FOREVER] if share else []
        return [str(w) for w in [MPIEXEC_NODES, "-N", nodes, "-n", ranks, *shared, *options, "--", *command]]

    def job(self, *args, **options):
        return call(*self.argv(*args, **options), env=self.env)

    def assert_all_ends(self):
        deadline = time.monotonic() + 15
        while (left := processes_with(self.token)) and time.monotonic() < deadline:
            time.sleep(0.1)
        self.assertEqual(left, [])

    def tearDown(self):
        for pid in processes_with(self.token):
            os.kill(pid, signal.SIGKILL)

    def test_every_node_mounts_afresh(self):
        done = self.job(4, 8, "cat", self.source / "file")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "shared" * 8, ""))
        nodes = self.stats()["nodes"]
        self.assertEqual([n["node"] for n in nodes], [0, 1, 2, 3])
        for n in nodes: # two ranks a node share one client
            self.assertEqual((n["ops"]["lookup"], n["ops"]["open"], n["read_bytes"]), (1, 2, 6))
        self.assert_all_ends()

    def test_ranks_fill_nodes_in_blocks(self):
        done = self.job(3, 5, "sh", "-c", "echo $PMI_RANK $(readlink /proc/self/ns/mnt)")
        where = dict(line.split() for line in done.stdout.splitlines())
        self.assertEqual([where[str(r)] == where[str(r - 1)] for r in range(1, 5)], [True, False, True, False])

    def test_ppn(self):
        done = self.job(2, 4, "sh", "-c", "readlink /proc/self/ns/mnt", options=["--ppn", 3])
        mounts = done.stdout.split()
        self.assertEqual(sorted(mounts.count(m) for m in set(mounts)), [1, 3])

    def test_exit_code_streams_and_environment(self):
        done = self.job(2, 2, "sh", "-c", "echo out $JOB_TOKEN $ONLY; echo err >&2; exit 7",
                        options=["--env", "ONLY=ranks=all"])
        self.assertEqual(done.returncode, 7)
        self.assertIn(f"out {self.token} ranks=all\n", done.stdout)
        self.assertIn("err\n", done.stderr)

    def test_arguments_arrive_whole(self):
        words = ["a b", "$HOME", "'q'", "*"]
        done = self.job(2, 1, "python3", "-c", "import sys; print(sys.argv[1:])", *words)
        self.assertEqual(done.stdout.strip(), str(words))

    def test_nothing_is_shared_without_a_directory(self):
        done = self.job(2, 2, "grep", "-c", "fuse.sharedfs", "/proc/self/mountinfo", share=False)
        self.assertEqual(done.stdout.split(), ["0", "0"])

    def test_private_tmpfs(self):
        private = self.scratch / "private"
        private.mkdir()
        script = f"echo $PMI_RANK > {private}/f$PMI_RANK; ls {private}; df --output=size -k {private} | tail -1"
        done = self.job(2, 2, "sh", "-c", script, options=["--private-tmpfs", f"{private}=1m"])
        self.assertEqual(sorted(done.stdout.split()), ["1024", "1024", "f0", "f1"], done.stderr)
        self.assertEqual(os.listdir(private), [])

    def test_stray_processes_end_with_the_job(self):
        # Descriptors closed: hydra itself waits for all holders of a rank's.
        stray = f"import subprocess as s; n = s.DEVNULL; s.Popen(['setsid', 'sleep', '600'], cwd='{self.source}', stdin=n, stdout=n, stderr=n)"
        done = self.job(2, 2, "python3", "-c", stray)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assert_all_ends()

    def killed(self, sig):
        """Starts a job that has a file open on every node, and sends mpiexec a signal."""
        argv = self.argv(2, 4, "sh", "-c", f"cd {self.source}; exec sleep 600 <file")
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=self.env, start_new_session=True) as mpiexec:
            deadline = time.monotonic() + 15
            while not self.state.exists() or self.ops().get("open", 0) < 4:
                self.assertLess(time.monotonic(), deadline, "the job does not start")
                time.sleep(0.05)
            mpiexec.send_signal(sig)
            mpiexec.wait(15)
        self.assert_all_ends()

    def test_sigkill_of_mpiexec_leaves_nothing(self):
        self.killed(signal.SIGKILL)

    def test_sigterm_of_mpiexec_leaves_nothing(self):
        self.killed(signal.SIGTERM)

    def test_killed_node_leaves_nothing_of_its_own(self):
        """The client of a node whose supervisor is killed unmounts itself."""
        argv = self.argv(1, 1, "sh", "-c", f"cd {self.source}; exec sleep 600 <file")
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              env=self.env) as mpiexec:
            deadline = time.monotonic() + 15
            while not self.state.exists() or self.ops().get("open", 0) < 1:
                self.assertLess(time.monotonic(), deadline, "the job does not start")
                time.sleep(0.05)
            for pid in processes_with("emulated-node"):
                if pathlib.Path(f"/proc/{pid}/comm").read_text() == "emulated-node\n" and pid in processes_with(self.token):
                    os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 10
            while self.servers() and time.monotonic() < deadline:
                time.sleep(0.1)
            self.assertEqual(self.servers(), [])
            mpiexec.kill()

    def servers(self):
        return [p for p in processes_with(self.token) if pathlib.Path(f"/proc/{p}/comm").read_text() == "sharedfs\n"]

    def test_failed_mount_is_said(self):
        (self.scratch / "state").write_text("junk")
        done = self.job(1, 1, "true")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("state file", done.stderr)

    def test_wrong_options(self):
        for argv in (["-n", 1, "--", "true"], ["-N", 1, "--", "true"], ["-N", 1, "-n", 1], ["-N", "x", "-n", 1, "true"],
                     ["-N", 1, "-n", 1, "--frob", 1, "true"], ["-N", 1, "-n", 1, "--rtt", 1, "true"],
                     ["-N", 1, "-n", 1, "--share-dir", "/nonexistent", "--state", "x", "true"],
                     ["-N", 1, "-n", 1, "--env", "novalue", "true"], ["-N", 1, "-n", 1, "--mpiexec", "nompi", "true"]):
            done = call(MPIEXEC_NODES, *argv)
            self.assertEqual(done.returncode, 2, argv)
            self.assertIn("mpiexec-nodes:", done.stderr)


if __name__ == "__main__":
    main()
