"""One comparison for every interpreter and environment: two ranks, without fastimport and with it."""

import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path[:0] = [str(ROOT / "tests/mpi"), str(ROOT / "tests/mpis")]
from jobs import LIBRARY, MPIEXEC, check, sharedjob  # noqa: E402

RANKS = 2
os.environ.pop("PYTHONUNBUFFERED", None)  # it splits lines, and those of the ranks mix


def run(command, preload, env=None, cwd=None, report=None):
    settings = dict(env or {})
    if preload:
        settings |= {"LD_PRELOAD": LIBRARY, "FASTIMPORT_FS": "all", "FASTIMPORT_PLAN": "off", "FASTIMPORT_REPORT": report}
    words = ["env", "-u", "PYTHONDONTWRITEBYTECODE", *(f"{k}={v}" for k, v in settings.items())]
    return subprocess.run([MPIEXEC, "-n", str(RANKS), *words, *map(str, command)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=90, env={**os.environ, "PYTHONHASHSEED": "0"}, cwd=cwd)


def same(command, opens=20, stats=60, under=(), libraries=0, env=None, cwd=None):
    """Output and exit code are those of the plain run, and each rank was served at least so many calls; each directory of `under`
    is a root. Returns (output, report)."""
    with tempfile.TemporaryDirectory() as scratch:
        report = f"{scratch}/report"
        plain, job = run(command, False, env, cwd), run(command, True, env, cwd, report)
        check(plain.returncode == 0, f"without fastimport: exit {plain.returncode}\n{plain.stdout}{plain.stderr}")
        check(job.returncode == 0, f"exit {job.returncode}\n{job.stdout}{job.stderr}")
        check(sorted(job.stdout.split("\n")) == sorted(plain.stdout.split("\n")), f"{job.stdout!r}, not {plain.stdout!r}")
        check("fastimport: " not in job.stderr, job.stderr)
        facts = sharedjob.read_json(report)
    check(facts is not None and facts["ranks_reporting"] == RANKS, f"report: {facts}")
    served = {kind: facts["calls"][kind]["served"] for kind in ("open", "stat", "dl")}
    for kind, least in (("open", opens), ("stat", stats), ("dl", libraries)):
        check(served[kind] >= least * RANKS, f"{kind}: {served[kind]} served, expected {least} a rank at least: {facts}")
    roots = [root[1:] for root in facts["roots"]]
    for directory in under:
        check(str(directory) in roots, f"{directory} is none of the roots {roots}")
    print(f"    {served['open']} opens, {served['stat']} stats, {served['dl']} dlopens served", flush=True)
    return job.stdout, facts
