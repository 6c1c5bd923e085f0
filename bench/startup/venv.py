# SPDX-License-Identifier: BSD-3-Clause
"""A Python environment with matplotlib, in the cache folder, for the plots. All else needs only Debian's Python."""

import os
import pathlib
import subprocess

PACKAGES = ["matplotlib"]


def place():
    """The directory of the environment."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(os.environ.get("FASTIMPORT_TEST_ENV", pathlib.Path(cache, "fastimport-test")), "bench-venv")


def python():
    """(the interpreter of the environment, None), or (None, why it cannot be made). The first call makes it, from the network."""
    venv = place()
    interpreter = venv / "bin/python"
    marker = venv / "ready"
    if marker.exists() and marker.read_text().split() == PACKAGES:
        return interpreter, None
    for command in (["/usr/bin/python3", "-m", "venv", venv],
                    [venv / "bin/pip", "install", "-q", "--only-binary", ":all:", *PACKAGES]):
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            return None, f"cannot make {venv}: {(done.stderr or done.stdout).strip().splitlines()[-1]}"
    marker.write_text(" ".join(PACKAGES))
    return interpreter, None


def run_plot(script, *arguments):
    """Runs a plotting script in the environment. Returns None, or what went wrong."""
    interpreter, why = python()
    if interpreter is None:
        return f"no plots: {why}"
    done = subprocess.run([interpreter, script, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          check=False, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "SOURCE_DATE_EPOCH": "0"})
    return f"no plots: {done.stderr.strip().splitlines()[-1]}" if done.returncode else None
