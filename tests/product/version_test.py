# SPDX-License-Identifier: BSD-3-Clause
"""The version: it comes from the tag, stands in every program, and a release needs no repository to know it."""

import shutil
import subprocess

import pytest
from support import BUILD, ROOT, call

pytestmark = pytest.mark.needs("git")


def git(directory, *words):
    subprocess.run(["git", "-C", directory, "-c", "user.name=a", "-c", "user.email=a@example.org", *words], check=True, capture_output=True)


@pytest.fixture
def repository(scratch):
    """A repository of its own, with the script in it."""
    shutil.copytree(ROOT / "preload/packaging", scratch / "preload/packaging")
    (scratch / "preload/packaging/VERSION").write_text("3.1.4\n")
    git(scratch, "init", "-q")
    git(scratch, "add", ".")
    git(scratch, "commit", "-qm", "one")
    return scratch


def version_of(directory):
    done = call(directory / "preload/packaging/version")
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout.strip()


def test_the_version_comes_from_the_tag(repository):
    assert version_of(repository).startswith("3.1.4+g")
    git(repository, "tag", "-a", "v4.0.0", "-m", "release")
    git(repository, "tag", "-a", "other", "-m", "no release")
    assert version_of(repository) == "4.0.0"
    git(repository, "commit", "-q", "--allow-empty", "-m", "two")
    assert version_of(repository).startswith("4.0.0+1.g")


def test_without_a_repository_it_comes_from_the_file(repository):
    shutil.rmtree(repository / ".git")
    assert version_of(repository) == "3.1.4"
    git(repository, "init", "-q", "..")  # unpacked inside of somebody else's repository
    inner = repository / "inner"
    shutil.copytree(repository / "preload", inner / "preload")
    assert version_of(inner) == "3.1.4"


@pytest.mark.parametrize("file", ["libfastimport.so", "python-mpi-bcast", "fastimport"])
def test_it_stands_in_every_program(file):
    expected = (BUILD / "version").read_text().strip()
    assert f"fastimport version: {expected}\0".encode() in (BUILD / file).read_bytes()


def test_a_release_knows_its_version(scratch):
    done = call("make", "-s", "-C", ROOT, f"B={scratch}/build", "dist")
    assert done.returncode == 0, done.stderr
    subprocess.run(["tar", "-xf", done.stdout.strip(), "-C", scratch], check=True)
    top, = scratch.glob("fastimport-*")
    assert version_of(top) == call(ROOT / "preload/packaging/version").stdout.strip()
    assert (top / "COPYING").exists() and not (top / ".git").exists()
