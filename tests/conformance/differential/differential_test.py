# SPDX-License-Identifier: BSD-3-Clause
"""Random calls on random trees (fuzz.py): 3500 sequences agree with and without the library, and a fault would be found."""

import subprocess

import fuzz
import pytest
from support import BUILD

pytestmark = pytest.mark.needs("mpiexec.mpich")

# Of tests/conformance/interpose/fault_shim.c.
FAULTS = ["stat-mtime", "stat-errno", "stat-stale", "open-cloexec", "readlink-nul", "readdir-type", "realpath", "dlerror", "chmod-lost"]


@pytest.fixture
def fuzzer(scratch, own_mounts):
    """A Fuzzer with its own tree."""
    made = fuzz.Fuzzer(fuzz.arguments().parse_args(["--build", str(BUILD)]), str(scratch))
    yield made
    subprocess.run(["umount", scratch / "tmpfs"], capture_output=True, check=False)
    fuzz.remove(scratch / "tmpfs")


@pytest.mark.parametrize("side", ["plain", "none"])
def test_runs_without_a_fault_agree(fuzzer, side):
    """Without the library, twice; and under the shim that injects no fault."""
    bad, plain, _ = fuzzer.differing(side, 0, 300)
    assert not bad and len(plain) == 300, f"sequences {bad[:10]} differ; {len(plain)} of 300 ended"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_and_shrunk(fuzzer, fault):
    bad = fuzzer.differing(fault, 0, 600)[0]
    assert bad, "it went unnoticed"
    calls = fuzzer.shrink(fault, bad[0])
    assert calls and len(calls) <= 6, f"it was not shrunk: {calls}"


def test_the_library_agrees(fuzzer):
    """In all modes; what differs is printed with the command that runs it again."""
    assert fuzz.fuzz(fuzzer, fuzzer.args), "see what is printed"
