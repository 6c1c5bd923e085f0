# SPDX-License-Identifier: BSD-3-Clause
"""Messages and the report: settings that make no sense, why nothing is served, one line for a job that is served or is not."""

import json
import os
import pathlib
import tempfile

import jsonschema
import pytest
from job import IMPORTS, MPIEXEC, NO_INIT, PYTHON, assert_done, caches, local_job, nodes_job, python_job, run, script, settings_with, sharedjob
from support import BUILD, ROOT

pytestmark = pytest.mark.needs("mpiexec.mpich", "environment")

SUM = "from mpi4py import MPI; print(MPI.COMM_WORLD.allreduce(1)); import decimal, email.mime.text"


def test_bad_settings_are_named_once():
    done = python_job("import json", env={"FASTIMPORT_WAIT_MS": "soon", "FASTIMPORT_FS": "some"})
    assert done.returncode == 0, done.stderr
    for name in ("FASTIMPORT_WAIT_MS=soon", "FASTIMPORT_FS=some"):
        assert done.stderr.count(name) == 1, done.stderr


def test_settings_that_are_none_are_named_once():
    done = python_job("import json", ranks=3, env={"FASTIMPORT_RAPORT": "x", "FASTIMPORT_LOG_FILE": "/nosuch/log", "FASTIMPORT_PATH": "/nosuch/path",
                                                   "FASTIMPORT_EXCLUDE": "/gone:here"})
    assert done.returncode == 0, done.stderr
    for text in ("not a setting of fastimport: FASTIMPORT_RAPORT (did you mean FASTIMPORT_REPORT?)", "cannot open /nosuch/log: No such file",
                 "FASTIMPORT_PATH: /nosuch/path does not exist", "FASTIMPORT_EXCLUDE: here is not absolute"):
        assert done.stderr.count(text) == 1, f"{text}: {done.stderr}"
    assert done.stderr.count("fastimport: rank") == 4, done.stderr


SUM = "from mpi4py import MPI; print(MPI.COMM_WORLD.allreduce(1)); import decimal, email.mime.text"


# --- what the user is told --------------------------------------------------------------------------------------


def reported(command, ranks=2, **env):
    """Runs a job, which must write a report. Returns both."""
    with tempfile.TemporaryDirectory() as scratch:
        done = local_job(command, ranks, env={"FASTIMPORT_REPORT": f"{scratch}/report", **env})
        assert os.listdir(scratch) == ["report"], f"{os.listdir(scratch)} {done.stderr}"
        return done, sharedjob.read_json(f"{scratch}/report")


def test_the_report_says_why_nothing_is_served():
    python = [PYTHON, "-c", "import json"]
    for command, env, why in ((python, {"FASTIMPORT_FS": "net"}, "on a network file system"),
                              (python, {"FASTIMPORT_MPI": "/nonexistent/libmpi.so"}, "/nonexistent/libmpi.so"),
                              (python, {"FASTIMPORT_DIR": "/nonexistent"}, "no node cache in /nonexistent"),
                              (["bash", "-c", f"{PYTHON} -c 'import json'; true"], {}, NO_INIT),
                              (["bash", "-c", f"{PYTHON} -c 'import os; os._exit(0)'; true"], {}, NO_INIT),
                              (["bash", "-c", f"{PYTHON} -c pass; true"], {"FASTIMPORT_FS": "net"}, "on a network file system"),
                              (["bash", "-c", f"[ $PMI_RANK = 1 ] && exec sleep 3; exec {PYTHON} -c pass"], {"FASTIMPORT_JOIN_MS": "1000"},
                               "not all ranks have joined")):
        done, report = reported(command, **env)
        assert done.returncode == 0 and report["active"] is False and why in report["why"], (
            f"{why}: {report['why']} {done.stderr}")
        assert report["calls"]["open"]["served"] == report["ranks"] == 0 and done.stderr.count("fastimport: ") <= 1, (
            f"{report} {done.stderr}")


def test_what_is_served_is_what_the_report_is_about():
    """The report is not about the script's helpers before and behind the program, which use no MPI."""
    done, report = reported(["bash", "-c", f"{PYTHON} -c pass; {PYTHON} -c '{SUM}'; {PYTHON} -c pass"])
    assert done.returncode == 0 and report["active"] is True and report["why"] is None and report["ranks_reporting"] == 2, (
        f"{report} {done.stderr}")


def test_one_line_says_that_it_is_active():
    done, report = reported([PYTHON, "-c", "import json"], ranks=3, FASTIMPORT_LOG="info")
    lines = [line for line in done.stderr.splitlines() if "active" in line]
    assert len(lines) == 1 and "active: version" in lines[0] and "3 ranks on 1 node" in lines[0] and "no plan" in lines[0] and report["roots"][0][1:] in lines[0], (
        done.stderr)
    done, report = reported([PYTHON, "-c", "import json"], FASTIMPORT_LOG="info", FASTIMPORT_FS="net")
    assert done.stderr.count("fastimport: ") == done.stderr.count("on a network file system") == 1, done.stderr


# An agent that starts workers as torchrun does, which is no launcher of MPI jobs.
AGENT = """
import os, subprocess, sys
assert not os.path.exists("/proc/self/task") or len(os.listdir("/proc/self/task")) == 1, "a thread was started"
if "RANK" not in os.environ:
    for rank in "01":
        subprocess.run([sys.executable, *sys.argv], check=True, env={**os.environ, "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2"})
"""


def test_one_line_says_that_no_launcher_has_started_it(scratch, cache_place):
    """The workers do not say it again. A job that such a Python starts is served."""
    command = ["env", *settings_with({"FASTIMPORT_DIR": cache_place, "FASTIMPORT_LOG": "info"}), PYTHON, script(scratch, AGENT)]
    done = run(command, 60)
    assert done.returncode == 0 and done.stderr.count("fastimport: ") == done.stderr.count("no launcher of MPI jobs has started") == 1, f"{done}"
    assert not caches(cache_place)
    command[-1] = script(scratch, f"import subprocess; subprocess.run(['{MPIEXEC}', '-n', '2', '{PYTHON}', '-c', 'import json'], check=True)")
    done = run(command, 60)
    assert done.returncode == 0 and done.stderr.count("no launcher") == done.stderr.count(", 2 ranks on 1 node") == 1, f"{done}"
    done = run([*command[:-2], "FASTIMPORT_LOG=warn", *command[-2:]], 60)
    assert done.returncode == 0 and "fastimport" not in done.stderr, f"{done}"


def test_a_report_into_a_pipe():
    done = local_job([PYTHON, "-c", "import json"], env={"FASTIMPORT_REPORT": "/proc/self/fd/1"})
    assert_done(done)
    assert json.loads(done.stdout)["active"] is True, done.stdout


def test_the_report_replaces_a_planted_link(scratch):
    victim, report = pathlib.Path(scratch, "victim"), pathlib.Path(scratch, "report")
    victim.write_text("precious")
    report.symlink_to(victim)
    assert_done(local_job([PYTHON, "-c", "import json"], env={"FASTIMPORT_REPORT": str(report)}))
    assert victim.read_text() == "precious" and not report.is_symlink() and sharedjob.read_json(str(report))["active"], (
        report.read_text())


def test_a_library_above_the_limit_is_said_to_be():
    done, report = reported([PYTHON, "-c", IMPORTS], FASTIMPORT_MAX_FILE="1M")
    why = {l["why"] for l in report["left_to_ld_so"]}
    assert done.returncode == 0 and why and all(w.endswith("is larger than FASTIMPORT_MAX_FILE") for w in why), (
        f"{why} {done.stderr}")
    assert any(w.startswith("needs lib") for w in why), f"{why}"


# --- what was gained ------------------------------------------------------------------------------------------------

SCHEMA = json.loads((ROOT / "preload/report/schema.json").read_text())


def fields(schema):
    """The names of all properties, at any depth."""
    return {name for name, value in schema.get("properties", {}).items()} | {
        name for part in (schema.get("properties", {}) | schema.get("$defs", {})).values() if isinstance(part, dict) for name in fields(part)}


def test_a_report_obeys_its_schema(scratch):
    checker = jsonschema.Draft202012Validator({**SCHEMA, "additionalProperties": False})
    for fs, active in (("all", True), ("net", False)):
        done, report = reported([PYTHON, "-c", IMPORTS], FASTIMPORT_FS=fs, FASTIMPORT_PLAN=f"{scratch}/plan", SLURM_JOB_ID="4711", SLURM_STEP_ID="3")
        checker.validate(report)
        assert report["active"] is active and report["job"] == "4711.3" and report["version"] == (BUILD / "version").read_text().strip()


def test_its_page_explains_each_field():
    page = (ROOT / "preload/report/FORMAT.md").read_text()
    families = {"open", "stat", "access", "path", "dir", "dl", "write"}
    missing = [name for name in fields(SCHEMA) - families if f"`{name}`" not in page and f".{name}`" not in page]
    assert not missing, missing


def test_it_says_what_was_gained(scratch):
    """On two nodes that share nothing: the file system answered fewer calls than the ranks made, and each byte once."""
    done = nodes_job(IMPORTS, 4, 2, {"FASTIMPORT_REPORT": f"{scratch}/report"})
    assert done.returncode == 0, done.stderr
    answers = sharedjob.read_json(f"{scratch}/report")["answers"]
    operations, size, start = answers["operations"], answers["bytes"], answers["start"]
    assert 0 < operations["with"] < operations["without"] / 2 and abs(operations["factor"] - operations["without"] / operations["with"]) < 0.01
    assert size["without"] == 2 * size["with"] > 0
    assert 0 < start["join"] <= start["seconds"] and start["bulk"] == 0 < start["file_system"], start
