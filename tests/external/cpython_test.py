# SPDX-License-Identifier: BSD-3-Clause
"""CPython's own tests under the library: each test must end as it does without.

Each module of Debian's libpython3.11-testsuite runs as the one rank of an MPI job, without and with the library, with the standard
library cached (FASTIMPORT_FS=all). Results are compared test by test: ok, failed, skipped. What fails in both is Debian's
or this machine's affair and is only counted; a run of the library that serves nothing counts as failed.

`-k short` runs the modules that take seconds, `-k long` those that take minutes, `-k test_glob` one.
"""

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest
from job import LIBRARY

pytestmark = pytest.mark.needs("mpiexec.mpich")

PYTHON = "/usr/bin/python3"
SHORT = ["test_stat", "test_glob", "test_import", "test_zipimport"]
LONG = ["test_os", "test_posix", "test_pathlib", "test_shutil", "test_tempfile", "test_importlib", "test_ctypes",
        "test_subprocess", "test_multiprocessing_fork", "test_multiprocessing_spawn"]
# Tests that may end otherwise, and why.
KNOWN = {
    "test_pass_fds_redirected": "it lists all descriptors of a child; two of them are the library's (lock and index)",
}
TIMEOUT = 900  # seconds a module


def results(xml):
    """{test: "ok" | "failed" | "skipped"} of a --junit-xml file."""
    found = {}
    for case in ElementTree.parse(xml).iter("testcase"):
        state = "ok"
        if case.find("failure") is not None or case.find("error") is not None:
            state = "failed"
        elif case.find("skipped") is not None or case.get("result") == "suppressed":
            state = "skipped"
        found[case.get("name")] = state
    return found


def run(module, work, library):
    """Runs a module's tests in a job of one rank. Returns (results, report, output). Without a library the rank is a plain one."""
    folder = f"{work}/{'library' if library else 'plain'}"
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LD_PRELOAD", "FASTIMPORT", "PMI", "PYTHON"))}
    setting = []
    if library:
        setting = ["env", f"LD_PRELOAD={os.path.abspath(library)}", "FASTIMPORT_FS=all", f"FASTIMPORT_REPORT={folder}/report",
                   "FASTIMPORT_PLAN=off", "FASTIMPORT_IDLE_MS=600000"]
    command = ["timeout", "-k", "10", str(TIMEOUT), "mpiexec.mpich", "-n", "1"] + setting
    command += [PYTHON, "-m", "test", "--junit-xml", f"{folder}/results.xml", "--tempdir", folder, module]
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=folder,
                          errors="replace")
    output = (done.stdout + done.stderr)[-3000:]
    try:
        report = json.load(open(f"{folder}/report")) if library else {}
    except (OSError, ValueError):
        report = {}
    try:
        return results(f"{folder}/results.xml"), report, output
    except (OSError, ElementTree.ParseError) as e:
        return None, report, f"no results: {e}\n{output}"


def is_worse(test, plain, ours):
    """Whether the library makes the test end worse. A test may be skipped without the library only: some are, by the number of open descriptors."""
    if plain == ours or (plain == "skipped" and ours == "ok"):
        return False
    return test.rpartition(".")[2] not in KNOWN


@pytest.mark.parametrize("module", [pytest.param(name, id=f"{kind}-{name}") for kind, names in (("short", SHORT), ("long", LONG)) for name in names])
def test_module(module, scratch):
    plain, _, said = run(module, scratch, None)
    if not plain:
        pytest.skip(f"{module} gives no results without the library: {said[-500:]}")
    ours, report, said = run(module, scratch, LIBRARY)
    assert ours is not None, f"{module}: {said}"
    differing = sorted(t for t in plain.keys() | ours.keys() if is_worse(t, plain.get(t), ours.get(t)))
    assert not differing, "\n".join(f"{test}: {plain.get(test, 'absent')} plain, {ours.get(test, 'absent')} with the library" for test in differing) + said
    served = sum(row.get("served", 0) for row in report.get("calls", {}).values())
    assert served > 0, f"{module}: the library served nothing\n{said[-1000:]}"
    states = [plain[t] for t in plain if plain[t] == ours.get(t)]
    print(f"{module}: {len(states)} tests end alike ({states.count('failed')} failed in both), {served} calls served")
    if set(states) <= {"skipped"}:
        pytest.skip(f"all tests of {module} are skipped, without the library, too")
