# SPDX-License-Identifier: BSD-3-Clause
"""make-env's safety, without building anything: it refuses wrong use, and does not touch what it did not make."""

import os

import pytest
from support import ROOT, call

MAKE_ENV, ENV_PATH = ROOT / "bench/env/make-env", ROOT / "bench/env/env-path"


@pytest.fixture
def settings(scratch):
    """The variables with which environments live in `scratch`."""
    return {**os.environ, "FASTIMPORT_TEST_ENV": str(scratch)}


def test_path_names_the_recipe(scratch, settings):
    done = call(ENV_PATH, "--with=scipy,numpy,numpy", "--mpi", "wheel", env=settings)
    assert done.stdout.strip() == f"{scratch}/wheel-numpy+scipy"


@pytest.mark.parametrize("words", [["--mpi", "openmpi"], ["--with"], ["--with", "a b"], ["--frob"], ["a", "b"]])
def test_wrong_use(settings, words):
    done = call(MAKE_ENV, *words, env=settings)
    assert done.returncode == 2
    assert "make-env" in done.stderr


def test_foreign_directory_is_not_touched(scratch, settings):
    precious = scratch / "precious"
    precious.mkdir()
    (precious / "thesis").write_text("text")
    done = call(MAKE_ENV, precious, env=settings)
    assert done.returncode == 1
    assert str(precious) in done.stderr
    assert (precious / "thesis").read_text() == "text"
