# SPDX-License-Identifier: BSD-3-Clause
"""Where jobs run: emulated nodes with the emulated file system, or a real system under any launcher.

Both machines have prepare(cases, progress), run(case), which returns a Run, and close(). A rank starts through build/stamp and
writes its own times (ranks/sitecustomize.py).
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
sys.path[:0] = [str(HERE.parent / "emulator/nodes"), str(HERE)]
import dilation  # noqa: E402
import rivals  # noqa: E402
import sharedjob  # noqa: E402
from sharedjob import BUILD, EXEC_ONLY, LIBRARY  # noqa: E402

# Launchers bind a rank to its cores. Nothing does so here, and the threads of OpenBLAS would spin on the cores of other ranks.
ONE_CORE = {"OMP_NUM_THREADS": "1"}
CLIENT = sharedjob.COSTS | {"readahead": 1024}  # KiB


def busy(seconds=0.2):
    """The share of this machine's processor time that was used during so many seconds, 0 to 1."""
    def read():
        with open("/proc/stat", encoding="ascii") as f:
            ticks = [int(word) for word in f.readline().split()[1:9]]
        return sum(ticks), ticks[3] + ticks[4]
    all_before, idle_before = read()
    time.sleep(seconds)
    all_after, idle_after = read()
    return 1 - (idle_after - idle_before) / max(1, all_after - all_before)


def wait_for_quiet(limit):
    """Waits until the machine has no other work, at most `limit` seconds. Returns False if the time ran out."""
    until = time.monotonic() + limit
    while limit and busy() > 0.1:
        if time.monotonic() > until:
            return False
    return True


class JobFailed(Exception):
    """A job failed; the message is for the user."""


@dataclasses.dataclass
class Run:
    """What one job did. Times are seconds. The server counts operations and bytes; None where nothing counts."""

    wall: float
    startup: float | None  # first exec to the end of the last rank's imports
    to_main: list  # from exec to main, for each rank
    imports: list  # from main to the end of the imports, for each rank
    cpu: float | None  # processor time of all ranks until the end of the imports
    metadata_ops: int | None = None
    read_bytes: int | None = None
    ops: dict | None = None
    report: dict | None = None  # the report of fastimport
    prepare: float | None = None  # seconds until the nodes had what a rival brings them, before the ranks started
    node_bytes: int | None = None  # what it keeps in the memory of a node
    warning: str | None = None  # the first line of fastimport on standard error


def from_stamps(wall, stamps, k=1):
    """A Run with the times of its ranks.

    wall      seconds of the whole job
    stamps    a dict for each rank: exec, main, imported, cpu, own_cpu in nanoseconds (ranks/sitecustomize.py)
    k         the factor of time dilation, by which all times but the processor time are divided
    """
    if not stamps:
        return Run(wall / k, None, [], [], None)
    first, unit = min(s["exec"] for s in stamps), 1e9 * k
    ends = [max(s["imported"], s["exec"] + k * s["own_cpu"]) for s in stamps]  # nobody computes faster than its share
    return Run(wall / k, (max(ends) - first) / unit, [(s["main"] - s["exec"]) / unit for s in stamps],
               [(end - s["main"]) / unit for end, s in zip(ends, stamps)], sum(s["cpu"] for s in stamps) / 1e9)


def read_stamps(place):
    """The dicts that the ranks wrote to the directory."""
    return [json.loads(path.read_text()) for path in sorted(pathlib.Path(place).iterdir())]


def last_lines(text, n=12):
    """The last n lines of the text, indented."""
    return "\n".join("    " + line for line in text.strip().splitlines()[-n:])


class Machine:
    """What both machines share: the command of a case, and its startup plan.

    programs    {workload: command}
    env         variables for the ranks
    scratch     where the temporary directory is made; None: the system's default
    """

    def __init__(self, programs, env, scratch):
        self.programs = programs
        self.env = env
        self.scratch = tempfile.TemporaryDirectory(prefix="startup-", dir=scratch)

    def plan(self, case):
        """The file with the plan of the case's workload."""
        return f"{self.scratch.name}/{case.workload}.plan"

    def settings(self, case, place):
        """The variables of the ranks. place: the directory for their times."""
        settings = {"STARTUP_STAMPS": place, **self.env}
        settings["PYTHONPATH"] = os.pathsep.join(filter(None, [f"{HERE}/ranks", self.env.get("PYTHONPATH")]))
        plans = {"cold": "off", "warm": f"use:{self.plan(case)}", "record": f"record:{self.plan(case)}"}
        if case.kind in plans:
            settings |= {"LD_PRELOAD": str(LIBRARY), "FASTIMPORT_REPORT": f"{place}.report"}
            settings["FASTIMPORT_PLAN"] = plans[case.kind]
        if case.kind == "exec":
            settings["LD_PRELOAD"] = str(EXEC_ONLY)
        return settings

    def command(self, case, settings):
        """What each rank executes, a list of words."""
        program = [BUILD / "mpistart"] if case.kind == "bare" else self.programs[case.workload]
        return [BUILD / "stamp", *(f"{k}={v}" for k, v in settings.items()), "--", *program]

    def run(self, case):
        """Runs a case and returns its Run. Raises JobFailed if the job fails, hangs, or leaves no times."""
        with tempfile.TemporaryDirectory(prefix="job-", dir=self.scratch.name) as place:
            stamps = f"{place}/stamps"
            os.mkdir(stamps)
            try:
                run, done = self.launch(case, self.command(case, self.settings(case, stamps)), stamps)
            except (subprocess.TimeoutExpired, OSError, RuntimeError) as error:
                raise JobFailed(str(error)) from error
            check_ranks(case, run, done)
            run.report = sharedjob.read_json(f"{stamps}.report")
            run.warning = next((line for line in done.errors.splitlines() if line.startswith("fastimport:")), None)
            if case.kind in ("cold", "warm") and run.report is None and run.warning is None:
                run.warning = "fastimport left no report: it did not take part"
            return run

    def record_plans(self, cases, progress):
        """Records the plan of each workload that has warm cases, on the fewest ranks. Raises JobFailed."""
        for workload in dict.fromkeys(c.workload for c in cases if c.kind == "warm"):
            smallest = min((c for c in cases if c.kind == "warm" and c.workload == workload), key=lambda c: c.ranks)
            progress(f"{workload}: recording the plan")
            recording = dataclasses.replace(smallest, kind="record")
            try:
                self.run(recording)
            except JobFailed as error:
                raise JobFailed(f"{recording}: {error}") from error
            if not os.path.exists(self.plan(smallest)):
                raise JobFailed(f"{workload}: fastimport recorded no plan (is the program on a file system that fastimport serves?)")

    def close(self):
        self.scratch.cleanup()


def check_ranks(case, run, done):
    """Raises JobFailed if the job failed, or if ranks left no times."""
    if done.code:
        raise JobFailed(f"exit code {done.code}\n{last_lines(done.errors or done.output)}")
    missing = case.ranks - len(run.imports)
    if case.kind != "exec" and run.imports and missing:
        raise JobFailed(f"{missing} of {case.ranks} ranks left no times: they ended during their start, or without Python's atexit")


class Emulated(Machine):
    """Emulated nodes on this machine (bench/emulator/nodes), with the environment on bench/emulator/sharedfs.

    share      the directory on the shared file system
    client     settings of sharedfs that differ from CLIENT
    timeout    most seconds of a job
    dilate     the factor of time dilation, or "auto": that of the ranks of each case
    """

    def __init__(self, share, programs, env, client, timeout, dilate=1):
        super().__init__(programs, ONE_CORE | env, None)
        self.share, self.client, self.timeout, self.dilate = share, CLIENT | client, timeout, dilate
        self.copies, self.rivals = None, rivals.Rivals(share)

    def factor(self, case):
        """The factor of time dilation of the case."""
        return dilation.factor(case.ranks) if self.dilate == "auto" else self.dilate

    def settings(self, case, place):
        return super().settings(case, place) | dilation.variables(self.factor(case))

    def options(self, case):
        """The options of the clients. A case with a read-ahead of its own is only counted, so that its operations cost no time."""
        client = {"readahead": case.readahead} if case.readahead else dilation.client(self.client, self.factor(case))
        return ["--read-only", *sharedjob.client_options(client)]

    def launch(self, case, command, stamps):
        """Runs the command on the nodes; returns (Run, sharedjob.Job)."""
        k, prepare, size = self.factor(case), None, None
        staged = self.copies if case.kind == "staged" else None
        if case.kind in rivals.RIVALS:
            done, prepare, size = self.rivals.run(case.kind, command, case.ranks, case.nodes, self.options(case), self.timeout)
        else:
            done = sharedjob.run(command, self.share, case.ranks, case.nodes, self.options(case), staged=staged,
                                 timeout=self.timeout)
        run = from_stamps(done.seconds, read_stamps(stamps), k)
        run.prepare, run.node_bytes = prepare and prepare / k, size
        if not staged:
            run.metadata_ops, run.read_bytes = done.metadata_ops, done.read_bytes
            run.ops = {op: n for op, n in done.ops.items() if n}
        return run, done

    def prepare(self, cases, progress):
        staged = [c.nodes for c in cases if c.kind == "staged"]
        if staged:
            self.copy_to_nodes(max(staged), progress)
        for rival in dict.fromkeys(c.kind for c in cases if c.kind in rivals.RIVALS):
            progress(f"packing for {rival}")
            try:
                self.rivals.pack(rival)
            except RuntimeError as error:
                raise JobFailed(str(error)) from error
        self.record_plans(cases, progress)

    def copy_to_nodes(self, nodes, progress):
        """Copies the environment to a tmpfs, once for each node."""
        remove_old_copies()
        self.copies = f"/dev/shm/startup-copies-{os.getpid()}"
        for node in range(nodes):
            progress(f"copying the environment to node {node + 1} of {nodes}")
            # Hard links: 16 copies need not fit into the memory of this machine.
            shutil.copytree(f"{self.copies}/0" if node else self.share, f"{self.copies}/{node}", symlinks=True,
                            copy_function=os.link if node else shutil.copy2)

    def close(self):
        super().close()
        self.rivals.close()
        if self.copies:
            shutil.rmtree(self.copies, ignore_errors=True)


def remove_old_copies():
    """Removes the copies of runs that were killed."""
    for left in pathlib.Path("/dev/shm").glob("startup-[cr]*-*"):
        if not os.path.exists(f"/proc/{left.name.rsplit('-', 1)[1]}"):
            shutil.rmtree(left, ignore_errors=True)


@dataclasses.dataclass
class Done:
    """What a job on a real system did: exit code, standard output, standard error."""

    code: int
    output: str
    errors: str


class Real(Machine):
    """A real file system and any launcher. Nothing counts at the server, and caches are as the last job left them.

    launcher    a command with {ranks} and {nodes}
    before      a shell command that runs before each job, or None
    timeout     most seconds of a job
    """

    def __init__(self, share, launcher, programs, env, scratch, before, timeout):
        super().__init__(programs, env, scratch)
        self.share, self.launcher, self.before, self.timeout = share, launcher, before, timeout

    def launcher_of(self, case):
        """The words of the launcher for the case; without {ranks} in the launcher, -n RANKS follows."""
        words = [word.replace("{ranks}", str(case.ranks)).replace("{nodes}", str(case.nodes))
                 for word in shlex.split(self.launcher)]
        return words if "{ranks}" in self.launcher else [*words, "-n", str(case.ranks)]

    def launch(self, case, command, stamps):
        """Runs the command under the launcher; returns (Run, Done)."""
        if self.before:
            subprocess.run(self.before, shell=True, check=True, timeout=self.timeout, stdin=subprocess.DEVNULL)
        start = time.monotonic()
        done = subprocess.run([*self.launcher_of(case), *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=self.timeout, check=False)
        run = from_stamps(time.monotonic() - start, read_stamps(stamps))
        return run, Done(done.returncode, done.stdout, done.stderr)

    def prepare(self, cases, progress):
        self.record_plans(cases, progress)
