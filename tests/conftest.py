# SPDX-License-Identifier: BSD-3-Clause
"""What pytest does for the tests of all folders: fixtures, the rule for skipping, and the tally for tests/run.

A test that cannot run here is skipped, and says why:

    @pytest.mark.needs("root")             the user must be root
    @pytest.mark.needs("strace", "gdb")    these programs must be installed
    @pytest.mark.needs("environment")      the Python environment of bench/env; it is built where it is missing
"""

import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import job
import pytest
from support import ROOT

CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x00020000, 0x4000, 1 << 18  # <sched.h>, <sys/mount.h>


def pytest_configure(config):
    os.umask(0o22)  # other users read what tests write, whatever the caller's mask
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # by tests/run, when the time is over: fixtures are closed, too
    config.addinivalue_line("markers", "needs(name, ...): skip the test unless the user is root (\"root\") or a program is "
                            "installed; \"environment\": the Python environment, which is built where it is missing")


def missing(name):
    """Why a test that needs `name` cannot run here; None if it can."""
    if name == "environment":
        return None
    if name == "root":
        return "needs root" if os.geteuid() else None
    return None if shutil.which(name) else f"needs the program {name}"


def pytest_collection_modifyitems(items):
    for item in items:
        for marker in item.iter_markers("needs"):
            for reason in filter(None, map(missing, marker.args)):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def scratch():
    """A temporary directory that every user can enter. It is removed after the test."""
    with tempfile.TemporaryDirectory(prefix="scratch-") as path:  # a name by which nothing takes it for a node cache
        os.chmod(path, 0o755)
        yield pathlib.Path(path)


@pytest.fixture
def cache_place():
    """A directory of its own for node caches, for FASTIMPORT_DIR."""
    with job.cache_directory() as place:
        yield place


@pytest.fixture
def network():
    """(mount, local): an empty directory on the emulated shared file system, and one on a local disk."""
    with job.network_directory() as places:
        yield places


@pytest.fixture(scope="session")
def environment():
    """The directory of a Python environment with mpi4py, numpy and scipy. The first call on a machine builds it: minutes."""
    return subprocess.check_output([ROOT / "bench/env/make-env"], text=True).strip()


@pytest.fixture(autouse=True)
def build_what_is_needed(request):
    """Builds the environment before a test with the mark needs("environment")."""
    if any("environment" in marker.args for marker in request.node.iter_markers("needs")):
        request.getfixturevalue("environment")


def make_mounts_private():
    """Moves this process to a mount namespace of its own. Raises OSError on failure."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None):
        raise OSError(ctypes.get_errno(), "cannot make a mount namespace")


@pytest.fixture(scope="session")
def private_mounts():
    """What the tests mount is seen by them alone, and is unmounted when they end, however they end."""
    if missing("root"):
        pytest.skip("needs root, to mount")
    make_mounts_private()


def pytest_terminal_summary(terminalreporter):
    """Writes "PASSED FAILED SKIPPED" to the file that tests/run names in TEST_TALLY."""
    count = {outcome: len(reports) for outcome, reports in terminalreporter.stats.items()}
    passed, failed, skipped = (sum(count.get(outcome, 0) for outcome in outcomes) for outcomes in
                               (("passed", "xpassed"), ("failed", "error"), ("skipped", "xfailed")))
    if "TEST_TALLY" in os.environ:
        pathlib.Path(os.environ["TEST_TALLY"]).write_text(f"{passed} {failed} {skipped}\n", encoding="ascii")
