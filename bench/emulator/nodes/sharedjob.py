# SPDX-License-Identifier: BSD-3-Clause
"""Runs a job on emulated nodes whose environment is on the emulated shared file system, and counts what it costs.

Each job starts with freshly mounted clients and with counters at zero. Needs root, as mpiexec-nodes does.
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
LIBRARY = pathlib.Path(os.environ.get("FASTIMPORT_TEST_PRODUCTS", BUILD)) / "libfastimport.so"
EXEC_ONLY = BUILD / "execonly.so"
MPIEXEC_NODES = BENCH / "emulator/nodes/mpiexec-nodes"
# Of the emulated server: microseconds, microseconds, MB/s; and what FUSE takes of a round trip (see sharedfs --help).
COSTS = {"rtt": 200, "meta-us": 50, "bandwidth": 500, "fuse-us": 80}
FOREVER = ["--attr-timeout", "inf", "--entry-timeout", "inf", "--negative-timeout", "inf"]
NO_STATS = {"metadata_ops": 0, "read_bytes": 0, "ops": {}}


@dataclasses.dataclass
class Job:
    """What one job did. The server of the file system counts operations and bytes, for all ranks together."""

    ranks: int
    code: int  # exit code of mpiexec
    seconds: float  # from the start of mpiexec to its end
    output: str
    errors: str
    metadata_ops: int
    read_bytes: int
    ops: dict  # operation: how often
    report: dict | None  # the report of fastimport, if it wrote one


def client_options(settings):
    """The options of sharedfs for a dict of settings such as COSTS."""
    return [f"--{name}={value}" for name, value in settings.items()]


def job_command(command, share, ranks, nodes, client, settings, exported, staged, state):
    """The command line of mpiexec-nodes for run()."""
    argv = [MPIEXEC_NODES, "-N", nodes, "-n", ranks]
    if staged:
        argv += ["--staged", staged, "--mount", share]
    else:
        argv += ["--share-dir", share, "--state", state, *FOREVER, *client]
    argv += [f"--env={name}={value}" for name, value in settings.items()]
    argv += [f"--export={name}={value}" for name, value in exported.items()]
    return [str(word) for word in [*argv, "--", *command]]


def run(command, share, ranks, nodes, client=(), env=None, preload=None, exported=None, staged=None, timeout=300, scripts=None):
    """Runs `command` on emulated nodes that mount the directory `share` over itself. Returns a Job.

    client    further options of sharedfs
    env       dict of variables for the ranks
    preload   a library for LD_PRELOAD of the ranks; the launcher and the emulator run without it
    exported  dict of variables for the launcher, too, which then runs on a login node with a client of its own
    staged    a directory with copies of `share`, named 0, 1, ...: each node sees its own at `share`, nothing is shared
    timeout   seconds; then subprocess.TimeoutExpired is raised
    scripts   {"prolog": command, "epilog": command} for the shell of each node (see mpiexec-nodes)

    Raises RuntimeError if no node was started.
    """
    with tempfile.TemporaryDirectory(prefix="sharedjob-") as scratch:
        state, report = f"{scratch}/state", f"{scratch}/report.json"
        settings, exported = dict(env or {}), dict(exported or {})
        if preload:
            settings |= {"LD_PRELOAD": str(preload), "FASTIMPORT_REPORT": report}
        if "LD_PRELOAD" in exported:
            exported["FASTIMPORT_REPORT"] = report
        argv = job_command(command, share, ranks, nodes, client, settings, exported, staged, state)
        argv[1:1] = [f"--{name}={text}" for name, text in (scripts or {}).items()]
        start = time.monotonic()
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        seconds = time.monotonic() - start
        if not staged and not os.path.exists(state):
            raise RuntimeError(f"no node was started: {done.stderr.strip()}")
        stats = NO_STATS if staged else json.loads(subprocess.check_output([BUILD / "sharedfs", "stats", state]))
        return Job(ranks, done.returncode, seconds, done.stdout, done.stderr, stats["metadata_ops"],
                   stats["read_bytes"], stats["ops"], read_json(report))


def read_json(path):
    """The content of the file; None if there is no file, or if it is not JSON."""
    try:
        return json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError):
        return None
