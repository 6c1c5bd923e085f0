# SPDX-License-Identifier: BSD-3-Clause
"""The dependency closure against ld.so for every shared library below some folders (compare_tree.py).

The folders: what FI_ELF_TREES names, else what Debian's Python has. ELF files that ld.so cannot load here (unresolved symbols,
plugins of other programs) are skipped, but the closure must not be wrong about files that are missing.
"""

import glob
import json
import os
import pathlib

import pytest
from support import BUILD, ROOT, call

DEFAULT = ["/usr/lib/python3*/lib-dynload", "/usr/lib/python3/dist-packages"]


def folders():
    return os.environ.get("FI_ELF_TREES", "").split() or [name for pattern in DEFAULT for name in glob.glob(pattern)]


def is_elf(path):
    return path.is_file() and path.open("rb").read(4) == b"\x7fELF"


LIBRARIES = [str(path) for folder in folders() for path in sorted(pathlib.Path(folder).absolute().rglob("*.so*")) if is_elf(path)]


@pytest.fixture(scope="module")
def differences(tmp_path_factory):
    """{library: what differs}"""
    log = tmp_path_factory.mktemp("elf") / "log"
    done = call("/usr/bin/python3", "-B", ROOT / "tests/elf/compare_tree.py", BUILD / "tests/elf/libclosure_probe.so", BUILD / "libfastimport-elf.so",
                *LIBRARIES, timeout=250, env={**os.environ, "LD_DEBUG": "files", "LD_DEBUG_OUTPUT": str(log)})
    for file in log.parent.iterdir():
        file.unlink()
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads(line) for line in done.stdout.splitlines())


def test_there_are_libraries():
    assert len(LIBRARIES) > 20, f"only {len(LIBRARIES)} libraries in {folders()}"


@pytest.mark.parametrize("library", LIBRARIES)
def test_library(differences, library):
    if differences[library].startswith("UNLOADABLE"):
        pytest.skip(differences[library])
    assert differences[library] == "", differences[library]
