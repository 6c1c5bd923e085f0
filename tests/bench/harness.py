"""What the emulator's tests share: one mounted file system a test, and the closing line that tests/run reads."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("B", "build")
os.environ["FASTIMPORT_BUILD"] = str(BUILD)  # for mpiexec-nodes
SHAREDFS = BUILD / "sharedfs"
FOREVER = ["--attr-timeout", "inf", "--entry-timeout", "inf", "--negative-timeout", "inf"]


def call(*argv, **options):
    """Runs a program; its result with text output, whatever its exit code."""
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=60, check=False, **options)


class SharedFs(unittest.TestCase):
    """A source directory and a state file; mounts made by mount() end with the test."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="sharedfs-test-")
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)
        self.source = self.scratch / "source"
        self.source.mkdir()
        self.scratch.chmod(0o755)
        self.state = self.scratch / "state"

    def mount(self, *options, source=None, node=0):
        """Mounts the source as the client of a node; returns the mount point."""
        mountpoint = self.scratch / f"mnt{node}"
        mountpoint.mkdir()
        done = call(SHAREDFS, "mount", source or self.source, mountpoint, "--state", self.state, "--node", node,
                    "--until", os.getpid(), *options)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.addCleanup(lambda: call(SHAREDFS, "umount", mountpoint) if os.path.ismount(mountpoint) else None)
        return mountpoint

    def stats(self):
        done = call(SHAREDFS, "stats", self.state)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def ops(self):
        """The operations counted so far, those that are zero left out."""
        return {op: n for op, n in self.stats()["ops"].items() if n}

    def reset(self):
        self.assertEqual(call(SHAREDFS, "reset", self.state).returncode, 0)


def main():
    result = unittest.main(exit=False, verbosity=2).result
    failed, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped", flush=True)
    sys.exit(1 if failed else 0)
