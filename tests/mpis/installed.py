"""Environments with the MPI libraries of PyPI, kept beside those of bench/env."""

import fcntl
import pathlib
import re
import shutil
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "mpi"))
from jobs import SHARE, Skipped  # noqa: E402

BASE = pathlib.Path(SHARE).parent  # see bench/env/recipe.sh


def environment(*packages, python="/usr/bin/python3", options=()):
    """A virtual environment with these packages; made once. Skips the test where they cannot be installed."""
    version = subprocess.check_output([python, "-c", "import platform; print(platform.python_version())"], text=True).strip()
    place = BASE / re.sub("[^A-Za-z0-9.-]", "", "-".join(["venv", version, *sorted(packages)]).replace("<", "-below-").replace(">=", "-from-"))  # env(1) splits words at "="
    BASE.mkdir(parents=True, exist_ok=True)
    with open(BASE / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            run([python, "-m", "venv", *options, place])
            if packages:
                run([place / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", *packages])
            (place / "complete").touch()
    return place


def run(command):
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip()).split("\n")[-1]
        raise Skipped(f"{' '.join(map(str, command[-3:]))}: {reason}")

