# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of all folders share: the places of the tree, and running a program.

ROOT    the top of the tree
BUILD   the build directory: the variable B of make, else FASTIMPORT_BUILD, else build. The programs that tests start
        find it as FASTIMPORT_BUILD.
TESTED  the build directory of the libraries and of the tool under test: FASTIMPORT_TEST_PRODUCTS, else BUILD. Another one comes
        from `make TARGET=...`, which builds no test programs.
"""

import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / (os.environ.get("B") or os.environ.get("FASTIMPORT_BUILD") or "build")
os.environ["FASTIMPORT_BUILD"] = str(BUILD)
TESTED = ROOT / (os.environ.get("FASTIMPORT_TEST_PRODUCTS") or BUILD)
os.environ["FASTIMPORT_TEST_PRODUCTS"] = str(TESTED)


def call(*command, timeout=60, **options):
    """Runs a program without standard input and returns its CompletedProcess with text output.

    It does not check the exit code. `options` are those of subprocess.run(). After `timeout` seconds it kills the program
    and raises subprocess.TimeoutExpired.
    """
    return subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False, **options)
