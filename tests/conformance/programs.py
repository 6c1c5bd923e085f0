# SPDX-License-Identifier: BSD-3-Clause
"""How a program of tests/conformance is run: plain, under the library as ranks of an MPI job, under the shim that injects a fault."""

import json
import os
import re
import subprocess

TIMEOUT = 60  # seconds a job
NOBODY = 65534  # a user whom permissions bite
NODES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench/emulator/nodes/mpiexec-nodes")


class RunFailed(Exception):
    """The program did not end well; the text says how."""


def mount_tmpfs(folder):
    """A tmpfs never gives an inode number twice, so files can be told apart by it. Where none can be mounted,
    transcripts of grade TR_MAPPED leave inode numbers out."""
    os.makedirs(folder)
    command = ["mount", "-t", "tmpfs", "-o", "mode=755", "none", folder]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        os.environ["TEST_NO_INODES"] = "1"
        print(f"note: no tmpfs on {folder}: inode numbers of changing trees are not compared")


def sanitizer_runtime(program):
    """Where ASan is used its runtime must come first in LD_PRELOAD."""
    out = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return re.findall(r"=> (\S*lib[at]san\S*)", out)[:1]


def preload(program, *libraries):
    return ":".join(sanitizer_runtime(program) + [os.path.abspath(library) for library in libraries])


def clean_environment():
    drop = ("LD_PRELOAD", "FASTIMPORT", "PMI")
    env = {k: v for k, v in os.environ.items() if not k.startswith(drop)}
    env["LC_ALL"] = "C"
    env.setdefault("ASAN_OPTIONS", "detect_leaks=0")  # libmpich leaks, and glibc where freopen fails
    return env


def execute(command, env, timeout, user=None):
    """Raises RunFailed if the command fails, dies or takes longer than timeout seconds."""
    who = {"user": user, "group": user, "extra_groups": []} if user else {}
    try:
        done = subprocess.run(["timeout", "-k", "5", str(timeout)] + command, env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, **who)
    except OSError as e:
        raise RunFailed(f"{command[0]}: {e}") from e
    if done.returncode == 124:
        raise RunFailed(f"no end after {timeout} s")
    if done.returncode != 0:
        text = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise RunFailed(f"exit code {done.returncode}\n{text[-2000:]}")
    return done


def run_plain(program, args, rank=0, timeout=TIMEOUT, user=None):
    env = clean_environment() | {"PMI_RANK": str(rank)}
    execute([program] + args, env, timeout, user)


def run_with_fault(program, args, shim, fault, timeout=TIMEOUT, user=None):
    env = clean_environment() | {"PMI_RANK": "0", "LD_PRELOAD": preload(program, shim), "FAULT": fault}
    execute([program] + args, env, timeout, user)


def runs_as(program, user):
    """Whether `user` may run the program: not where a folder above it is closed to others."""
    try:
        return subprocess.run(["test", "-x", program], user=user, group=user, extra_groups=[]).returncode == 0
    except OSError:
        return False


def run_ranks(program, args, library, root, report, ranks=1, nodes=1, timeout=TIMEOUT, user=None, before=(), plan=None):
    """A job of `ranks` ranks, `root` cached; several nodes are emulated, which needs root. Returns the library's report, or
    {"problem": text} if there is none. `before`: what is preloaded before the library. `plan`: for FASTIMPORT_PLAN."""
    env = clean_environment()
    setting = {"LD_PRELOAD": preload(program, *before, library), "FASTIMPORT_FS": "all", "FASTIMPORT_PATH": root,
               "FASTIMPORT_REPORT": report} | ({"FASTIMPORT_PLAN": plan} if plan else {})
    command = ["mpiexec.mpich", "-n", str(ranks)]
    if nodes > 1:
        env["FASTIMPORT_BUILD"] = os.path.dirname(os.path.abspath(library))
        command = [NODES, "-N", str(nodes), "-n", str(ranks), "--"]
        if user:
            command += ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]
            user = None
    command += ["env"] + [f"{k}={v}" for k, v in setting.items()]
    if os.path.exists(report):
        os.remove(report)
    done = execute(command + [program] + args, env, timeout, user)
    try:
        with open(report) as f:
            return json.load(f)
    except (OSError, ValueError) as e:
        said = done.stderr.decode(errors="replace").strip()
        return {"problem": f"the library wrote no usable report: {e}\n{said[-2000:]}"}


def calls(report, family):
    """(intercepted, served) of one call family. The one place that knows the report's names."""
    row = report.get("calls", {}).get(family, {})
    return row.get("intercepted", 0), row.get("served", 0)
