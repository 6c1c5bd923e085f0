# SPDX-License-Identifier: BSD-3-Clause
"""The recipes of distributions, as far as they can be tried here. They take minutes: in check-long."""

import ast
import os
import re
import shutil
import subprocess
import sys

import pytest
from support import ROOT, call

RECIPES = ROOT / "preload/packaging"


def version():
    return call(RECIPES / "version").stdout.strip()


@pytest.mark.needs("dpkg-buildpackage", "dh", "lintian", "root")
def test_debian(scratch):
    done = call(RECIPES / "build-deb", scratch, timeout=400)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    package, = scratch.glob("fastimport_*.deb")
    lint = call("lintian", "--allow-root", "--fail-on", "error,warning", "--suppress-tags", "initial-upload-closes-no-bugs", package, timeout=200)
    assert lint.returncode == 0, lint.stdout
    subprocess.run(["dpkg-deb", "-x", package, scratch / "x"], check=True)
    assert call(scratch / "x/usr/bin/fastimport", "run", "-n", "--", "true").stdout.startswith(f"LD_PRELOAD={scratch}/x/usr/lib/x86_64-linux-gnu/fastimport/")


@pytest.mark.needs("rpmbuild")
def test_rpm(scratch):
    archive = call("make", "-s", "-C", ROOT, f"B={scratch}/build", "dist").stdout.strip()
    (scratch / "SOURCES").mkdir()
    shutil.move(archive, scratch / "SOURCES")
    name = os.path.basename(archive).removesuffix(".tar.gz")
    done = call("rpmbuild", "-bb", "--nodeps", "--define", f"_topdir {scratch}", "--define", f"version_of_release {version()}", "--define", f"archive {name}",
                "--define", "_libdir /usr/lib64", RECIPES / "fastimport.spec", timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    package, = scratch.glob("RPMS/*/*.rpm")
    assert "/usr/lib64/fastimport/libfastimport.so" in call("rpm", "-qlp", package).stdout


def test_wheel(scratch):
    """Installed into an environment, it brings the commands and the libraries."""
    subprocess.run([sys.executable, "-m", "venv", scratch / "v"], check=True)
    pip = scratch / "v/bin/pip"
    assert call(pip, "install", "-q", "setuptools", "wheel", timeout=200).returncode == 0
    done = call(pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", scratch, RECIPES / "wheel", timeout=400)
    assert done.returncode == 0, done.stderr[-3000:]
    wheel, = scratch.glob("fastimport_mpi-*-py3-none-linux_*.whl")
    assert call(pip, "install", "-q", "--no-index", wheel).returncode == 0
    for directory in ("build", "fastimport_mpi.egg-info"):
        shutil.rmtree(RECIPES / "wheel" / directory, ignore_errors=True)
    assert call(scratch / "v/bin/fastimport", "--version").stdout == f"fastimport {version()}\n"
    assert "libfastimport.so, version" in call(scratch / "v/bin/fastimport", "check").stdout


def test_spack_and_easybuild_are_python():
    for recipe in [RECIPES / "spack/package.py", *RECIPES.glob("easybuild/*.eb")]:
        ast.parse(recipe.read_text())
    words = set(re.findall(r"build/[\w.-]+", (RECIPES / "spack/package.py").read_text()))
    assert words == set(re.findall(r"build/[\w.-]+", next(RECIPES.glob("easybuild/*.eb")).read_text())) == {
        "build/libfastimport.so", "build/libfastimport-elf.so", "build/fastimport", "build/python-mpi-bcast"}
