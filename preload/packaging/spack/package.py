# SPDX-License-Identifier: BSD-3-Clause
"""A package for a repository of Spack 1.0 or newer: packages/fastimport/package.py. Replace URL and checksum by those of the
release."""

from spack_repo.builtin.build_systems.makefile import MakefilePackage

from spack.package import *


class Fastimport(MakefilePackage):
    """Starts thousands of Pythons at once without melting the shared file system."""

    homepage = "https://example.org/fastimport"
    url = "https://example.org/fastimport/fastimport-0.9.0.tar.gz"

    license("BSD-3-Clause")

    version("0.9.0", sha256="0" * 64)

    depends_on("c", type="build")
    depends_on("elf@1")
    depends_on("jansson")
    depends_on("libarchive")
    depends_on("xxhash")
    depends_on("zlib-api")
    depends_on("zstd")

    def build(self, spec, prefix):
        make("build/libfastimport.so", "build/libfastimport-elf.so", "build/fastimport", "build/python-mpi-bcast")

    def install(self, spec, prefix):
        make("install", f"PREFIX={prefix}")
