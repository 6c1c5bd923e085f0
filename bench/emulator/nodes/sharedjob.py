"""Runs a job on emulated nodes whose environment is on the emulated shared file system, and says what it cost.

Every job starts with freshly mounted clients and counters at zero. Needs root, as mpiexec-nodes does.
"""

import dataclasses
import json
import os
import pathlib
import subprocess
import tempfile
import time

BENCH = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("FASTIMPORT_BUILD", BENCH.parent / "build"))
FOREVER = ["--attr-timeout", "inf", "--entry-timeout", "inf", "--negative-timeout", "inf"]
NO_STATS = {"metadata_ops": 0, "read_bytes": 0, "ops": {}}


@dataclasses.dataclass
class Job:
    """What one job did. Bytes and operations are of the whole job, at the file system's server."""

    ranks: int
    code: int
    seconds: float
    output: str
    errors: str
    metadata_ops: int
    read_bytes: int
    ops: dict
    report: dict | None  # of fastimport


def run(command, share, ranks, nodes, client=(), env=None, preload=None, exported=None, staged=None, timeout=300):
    """Runs `command` on emulated nodes that mount `share` over itself.

    client   further options of sharedfs
    staged   a directory of copies of `share`, named 0, 1, ...: each node sees its own at `share`, nothing is shared
    env      settings for the ranks
    preload  a library for LD_PRELOAD of the ranks; the launcher and the emulator run without
    exported settings for the launcher, too, which then runs on a login node with a client of its own
    """
    with tempfile.TemporaryDirectory(prefix="sharedjob-") as scratch:
        state, report = f"{scratch}/state", f"{scratch}/report.json"
        settings = dict(env or {})
        if preload:
            settings |= {"LD_PRELOAD": str(preload), "FASTIMPORT_REPORT": report}
        argv = [BENCH / "emulator/nodes/mpiexec-nodes", "-N", nodes, "-n", ranks]
        if staged:
            argv += ["--staged", staged, "--mount", share]
        else:
            argv += ["--share-dir", share, "--state", state, *FOREVER, *client]
        argv += [f"--env={name}={value}" for name, value in settings.items()]
        exported = dict(exported or {})
        if "LD_PRELOAD" in exported:
            exported["FASTIMPORT_REPORT"] = report
        argv += [f"--export={name}={value}" for name, value in exported.items()]
        start = time.monotonic()
        done = subprocess.run([str(word) for word in [*argv, "--", *command]], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=timeout)
        seconds = time.monotonic() - start
        if not staged and not os.path.exists(state):
            raise RuntimeError(f"no node was started: {done.stderr.strip()}")
        stats = NO_STATS if staged else json.loads(subprocess.check_output([BUILD / "sharedfs", "stats", state]))
        return Job(ranks, done.returncode, seconds, done.stdout, done.stderr, stats["metadata_ops"],
                   stats["read_bytes"], stats["ops"], read_json(report))


def read_json(path):
    """The file's content, or None if there is none or it is not JSON."""
    try:
        return json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError):
        return None
