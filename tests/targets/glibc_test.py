# SPDX-License-Identifier: BSD-3-Clause
"""A build for glibc 2.28 asks for no newer one, whatever machine it is for."""

import re
import subprocess

import pytest
from support import TESTED

PRODUCTS = ["libfastimport.so", "libfastimport-elf.so", "python-mpi-bcast"]
OF_LIBC = {"libc.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "ld-linux-aarch64.so.1"}


def newest_glibc(path):
    """The newest version of glibc whose symbols a file asks for, as (2, 28)."""
    text = subprocess.check_output(["objdump", "-T", path], text=True)
    return max(tuple(map(int, v.split("."))) for v in re.findall(r"GLIBC_([0-9.]+)", text))


def needed(path):
    """The libraries that a file needs."""
    return set(re.findall(r"NEEDED.*\[(.*)\]", subprocess.check_output(["readelf", "-d", path], text=True)))


@pytest.mark.parametrize("name", PRODUCTS)
def test_no_symbol_is_newer(name):
    newest = newest_glibc(TESTED / name)
    assert newest <= (2, 28), f"{name} needs glibc {newest}"


@pytest.mark.parametrize("name, others", [("libfastimport.so", set()), ("libfastimport-elf.so", {"libelf.so.1"})])
def test_needs_only_libraries_of_libc(name, others):
    assert needed(TESTED / name) <= OF_LIBC | others, needed(TESTED / name)
