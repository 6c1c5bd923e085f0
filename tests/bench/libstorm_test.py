# SPDX-License-Identifier: BSD-3-Clause
"""bench/libstorm: both variants of a small storm, with and without empty directories, and a broken storm is noticed."""

import os
import shutil

import pytest
from support import ROOT, call

LIBSTORM = ROOT / "bench/libstorm"
PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def storm(tmp_path_factory):
    """A storm of 9 modules."""
    place = tmp_path_factory.mktemp("libstorm")
    done = call(LIBSTORM / "storm_gen", place, "-n", 9, "-f", 5, "-u", 3, "-k", 4, "-e", 5)
    assert done.returncode == 0, done.stdout + done.stderr
    yield place
    shutil.rmtree(place)


def long_path(storm):
    """The variables with which ld.so searches the empty directories, too."""
    return {**os.environ, "LD_LIBRARY_PATH": (storm / "ld_library_path").read_text()}


@pytest.mark.parametrize("variables", [lambda storm: None, long_path], ids=["runpath", "long_path"])
@pytest.mark.parametrize("variant", ["needed", "modules"])
def test_all_functions_return_their_value(storm, variant, variables):
    done = call(PYTHON, LIBSTORM / "storm.py", storm, variant, env=variables(storm))
    assert done.returncode == 0, done.stderr
    assert " ok " in done.stdout


@pytest.mark.needs("strace")
def test_ld_so_searches_the_empty_directories(storm):
    done = call("strace", "-f", "-e", "trace=openat", PYTHON, LIBSTORM / "storm.py", storm, "needed", env=long_path(storm))
    searches = [line for line in done.stderr.splitlines() if "empty/04" in line and "libutil" in line]
    assert any("ENOENT" in line for line in searches), done.stderr[-2000:]


def test_a_wrong_checksum_is_noticed(storm, scratch):
    broken = shutil.copytree(storm, scratch / "broken")
    (scratch / "util.c").write_text("long util000_f0(long x) { return x; } long util000_f3(long x) { return x; }")
    built = call("gcc", "-shared", "-fPIC", "-o", broken / "lib/libutil000.so", scratch / "util.c")
    assert built.returncode == 0, built.stderr
    assert call(PYTHON, LIBSTORM / "storm.py", broken, "modules").returncode == 1
