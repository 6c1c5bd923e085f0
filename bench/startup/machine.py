"""Where jobs run: emulated nodes on the emulated file system, or a real system under any launcher.

Both offer run(case) -> Run, prepare(cases) and close(). A job's ranks start through build/stamp and note their times
(ranks/sitecustomize.py), so startup is seen from inside.
"""

import dataclasses
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "emulator/nodes"))
import sharedjob  # noqa: E402

BUILD = sharedjob.BUILD
LIBRARY = BUILD / "libfastimport.so"
ONE_CORE = {"OMP_NUM_THREADS": "1"}  # launchers bind a rank to its cores; here OpenBLAS would spin on all that there are
CLIENT = {"rtt": 200, "meta-us": 50, "bandwidth": 500, "readahead": 1024}


def busy(seconds=0.2):
    """The share of this machine's processors that is in use."""
    def read():
        with open("/proc/stat", encoding="ascii") as f:
            ticks = [int(word) for word in f.readline().split()[1:9]]
        return sum(ticks), ticks[3] + ticks[4]
    all_before, idle_before = read()
    time.sleep(seconds)
    all_after, idle_after = read()
    return 1 - (idle_after - idle_before) / max(1, all_after - all_before)


def wait_for_quiet(limit):
    """Until other work leaves the processors alone, at most so many seconds. False: it did not."""
    until = time.monotonic() + limit
    while limit and busy() > 0.1:
        if time.monotonic() > until:
            return False
    return True


class JobFailed(Exception):
    """A job did not do what it should; the message is for the user."""


@dataclasses.dataclass
class Run:
    """What one job did. Times in seconds; operations and bytes at the file system's server (None: not known)."""

    wall: float
    startup: float | None  # first exec to the end of the last rank's imports
    to_main: list  # per rank
    imports: list  # per rank
    cpu: float | None  # of all ranks, until the end of the imports
    metadata_ops: int | None = None
    read_bytes: int | None = None
    ops: dict | None = None
    report: dict | None = None  # of fastimport
    warning: str | None = None  # what fastimport said on standard error


def from_stamps(wall, stamps):
    """A run's times from its ranks' stamps (dicts in nanoseconds)."""
    if not stamps:
        return Run(wall, None, [], [], None)
    first = min(s["exec"] for s in stamps)
    return Run(wall, (max(s["imported"] for s in stamps) - first) / 1e9, [(s["main"] - s["exec"]) / 1e9 for s in stamps],
               [(s["imported"] - s["main"]) / 1e9 for s in stamps], sum(s["cpu"] for s in stamps) / 1e9)


def read_stamps(place):
    return [json.loads(path.read_text()) for path in sorted(pathlib.Path(place).iterdir())]


def last_lines(text, n=12):
    return "\n".join("    " + line for line in text.strip().splitlines()[-n:])


class Machine:
    """What both kinds share: the command a case stands for, and its plan."""

    def __init__(self, programs, env, scratch):
        self.programs = programs  # workload name: command
        self.env = env
        self.scratch = tempfile.TemporaryDirectory(prefix="startup-", dir=scratch)

    def plan(self, case):
        return f"{self.scratch.name}/{case.workload}.plan"

    def settings(self, case, place):
        """What the ranks get in their environment."""
        settings = {"STARTUP_STAMPS": place, **self.env}
        settings["PYTHONPATH"] = os.pathsep.join(filter(None, [f"{HERE}/ranks", self.env.get("PYTHONPATH")]))
        plans = {"cold": "off", "warm": f"use:{self.plan(case)}", "record": f"record:{self.plan(case)}"}
        if case.kind in plans:
            settings |= {"LD_PRELOAD": str(LIBRARY), "FASTIMPORT_REPORT": f"{place}.report"}
            settings["FASTIMPORT_PLAN"] = plans[case.kind]
        if case.kind == "exec":
            settings["LD_PRELOAD"] = str(BUILD / "execonly.so")
        return settings

    def command(self, case, settings):
        program = [BUILD / "mpistart"] if case.kind == "bare" else self.programs[case.workload]
        return [BUILD / "stamp", *(f"{k}={v}" for k, v in settings.items()), "--", *program]

    def run(self, case):
        """Runs a case; JobFailed if it does not end well."""
        with tempfile.TemporaryDirectory(prefix="job-", dir=self.scratch.name) as place:
            stamps = f"{place}/stamps"
            os.mkdir(stamps)
            try:
                run, done = self.launch(case, self.command(case, self.settings(case, stamps)), stamps)
            except (subprocess.TimeoutExpired, OSError, RuntimeError) as error:
                raise JobFailed(str(error)) from error
            if done.code:
                raise JobFailed(f"exit code {done.code}\n{last_lines(done.errors or done.output)}")
            missing = case.ranks - len(run.imports)
            if case.kind not in ("exec",) and run.imports and missing:
                raise JobFailed(f"{missing} of {case.ranks} ranks left no times: they ended in the middle of their "
                                "start, or by a way that skips Python's atexit")
            run.report = sharedjob.read_json(f"{stamps}.report")
            run.warning = next((line for line in done.errors.splitlines() if line.startswith("fastimport:")), None)
            if case.kind in ("cold", "warm") and run.report is None and run.warning is None:
                run.warning = "fastimport left no report: it did not take part"
            return run

    def learn_plans(self, cases, progress):
        """One run a workload that records the plan which the warm runs use; on the smallest number of nodes."""
        for workload in dict.fromkeys(c.workload for c in cases if c.kind == "warm"):
            smallest = min((c for c in cases if c.kind == "warm" and c.workload == workload), key=lambda c: c.ranks)
            progress(f"{workload}: recording the plan")
            recording = dataclasses.replace(smallest, kind="record")
            try:
                self.run(recording)
            except JobFailed as error:
                raise JobFailed(f"{recording}: {error}") from error
            if not os.path.exists(self.plan(smallest)):
                raise JobFailed(f"{workload}: fastimport recorded no plan (is its program on a served file system?)")

    def close(self):
        self.scratch.cleanup()


class Emulated(Machine):
    """Emulated nodes of this machine (bench/emulator/nodes), the environment on bench/emulator/sharedfs."""

    def __init__(self, share, programs, env, client, timeout):
        super().__init__(programs, ONE_CORE | env, None)
        self.share, self.client, self.timeout = share, CLIENT | client, timeout
        self.copies = None

    def options(self, case):
        """The client of a timed case has latencies; cases with a read-ahead of their own are only counted."""
        client = {"readahead": case.readahead} if case.readahead else self.client
        return ["--read-only", *(f"--{name}={value}" for name, value in client.items())]

    def launch(self, case, command, stamps):
        staged = self.copies if case.kind == "staged" else None
        done = sharedjob.run(command, self.share, case.ranks, case.nodes, self.options(case), staged=staged,
                             timeout=self.timeout)
        run = from_stamps(done.seconds, read_stamps(stamps))
        if not staged:
            run.metadata_ops, run.read_bytes = done.metadata_ops, done.read_bytes
            run.ops = {op: n for op, n in done.ops.items() if n}
        return run, done

    def prepare(self, cases, progress):
        staged = [c.nodes for c in cases if c.kind == "staged"]
        if staged:
            self.copy_to_nodes(max(staged), progress)
        self.learn_plans(cases, progress)

    def copy_to_nodes(self, nodes, progress):
        sweep_copies()
        self.copies = f"/dev/shm/startup-copies-{os.getpid()}"
        for node in range(nodes):
            progress(f"copying the environment to node {node + 1} of {nodes}")
            shutil.copytree(self.share, f"{self.copies}/{node}", symlinks=True)

    def close(self):
        super().close()
        if self.copies:
            shutil.rmtree(self.copies, ignore_errors=True)


def sweep_copies():
    """Removes what a killed run has left."""
    for left in pathlib.Path("/dev/shm").glob("startup-copies-*"):
        if not os.path.exists(f"/proc/{left.name.rsplit('-', 1)[1]}"):
            shutil.rmtree(left, ignore_errors=True)


@dataclasses.dataclass
class Done:
    code: int
    output: str
    errors: str


class Real(Machine):
    """A real file system, any launcher. Nothing is counted at the server, and its caches are what they are."""

    def __init__(self, share, launcher, programs, env, scratch, before, timeout):
        super().__init__(programs, env, scratch)
        self.share, self.launcher, self.before, self.timeout = share, launcher, before, timeout

    def launcher_of(self, case):
        words = [word.replace("{ranks}", str(case.ranks)).replace("{nodes}", str(case.nodes))
                 for word in shlex.split(self.launcher)]
        return words if "{ranks}" in self.launcher else [*words, "-n", str(case.ranks)]

    def launch(self, case, command, stamps):
        if self.before:
            subprocess.run(self.before, shell=True, check=True, timeout=self.timeout, stdin=subprocess.DEVNULL)
        start = time.monotonic()
        done = subprocess.run([*self.launcher_of(case), *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=self.timeout, check=False)
        run = from_stamps(time.monotonic() - start, read_stamps(stamps))
        return run, Done(done.returncode, done.stdout, done.stderr)

    def prepare(self, cases, progress):
        self.learn_plans(cases, progress)
