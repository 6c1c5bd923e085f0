# SPDX-License-Identifier: BSD-3-Clause
"""A wheel with the commands and the libraries, for an environment's own prefix: pip wheel --no-deps preload/packaging/wheel

It is built in the source tree, with what `make install` needs, and fits the systems that have these libraries."""

import os
import pathlib
import subprocess

from setuptools import setup
from wheel.bdist_wheel import bdist_wheel

TOP = pathlib.Path(__file__).resolve().parents[3]
BUILD = "build/wheel"


class Wheel(bdist_wheel):
    """Of any Python 3, but of this machine's kind."""

    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


def installed():
    """What `make install` installs, as setuptools' data_files: below the environment's prefix."""
    place = TOP / BUILD / "install"
    subprocess.run(["make", "-s", f"B={BUILD}", "install", "PREFIX=/prefix", f"DESTDIR={place}"], cwd=TOP, check=True)
    prefix = place / "prefix"
    here = pathlib.Path(__file__).resolve().parent
    return [(os.path.relpath(d, prefix), [os.path.relpath(os.path.join(d, f), here) for f in files]) for d, _, files in os.walk(prefix) if files]


os.chdir(pathlib.Path(__file__).resolve().parent)
setup(name="fastimport-mpi", version=subprocess.check_output([TOP / "preload/packaging/version"], text=True).strip(),
      description="Fast start of Python on many nodes of a cluster", license="BSD-3-Clause", packages=[], py_modules=[],
      data_files=installed(), cmdclass={"bdist_wheel": Wheel})
