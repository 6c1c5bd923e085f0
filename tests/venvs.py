# SPDX-License-Identifier: BSD-3-Clause
"""Virtual environments with packages of PyPI, among them MPI libraries, kept beside the environments of bench/env."""

import fcntl
import pathlib
import re
import shutil
import subprocess

import pytest
from job import ENVIRONMENT

BASE = pathlib.Path(ENVIRONMENT).parent  # see bench/env/recipe.sh


def venv(*packages, python="/usr/bin/python3", options=()):
    """The directory of a virtual environment with these packages; it is made once. Skips the test where they cannot be installed."""
    version = subprocess.check_output([python, "-c", "import platform; print(platform.python_version())"], text=True).strip()
    place = BASE / re.sub("[^A-Za-z0-9.-]", "", "-".join(["venv", version, *sorted(packages)]).replace("<", "-below-").replace(">=", "-from-"))  # env(1) splits words at "="
    BASE.mkdir(parents=True, exist_ok=True)
    with open(BASE / ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            run([python, "-m", "venv", *options, place])
            if packages:
                run([place / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary", ":all:", *packages])
            (place / "complete").touch()
    return place


def run(command):
    """Runs a command; skips the test where it fails, and says why."""
    done = subprocess.run(list(map(str, command)), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip()).split("\n")[-1]
        pytest.skip(f"{' '.join(map(str, command[-3:]))}: {reason}")
