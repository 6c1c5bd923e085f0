# SPDX-License-Identifier: BSD-3-Clause
"""What a start costs the shared file system, cold and with a plan. A plan is never trusted."""

import functools
import importlib.util
import marshal
import os
import pathlib
import subprocess
import time

import pytest
from job import (ALLREDUCE, BUILD, CLIENT, ENVIRONMENT, LIBRARY, PYTHON, ROOT, assert_done,
                 local_job, network_directory, nodes_job, python_job, script, shared_job, sharedjob)

pytestmark = pytest.mark.needs("root", "mpiexec.mpich", "environment")

# --- ratios ------------------------------------------------------------------------------------------------------


@functools.cache
def exec_only(ranks, nodes):
    """What the same ranks cost until exec is done."""
    return sharedjob.run([PYTHON, "-c", "pass"], ENVIRONMENT, ranks, nodes, CLIENT, preload=BUILD / "execonly.so")


@functools.cache
def one_plain_rank():
    return shared_job(ALLREDUCE, 1, 1, preload=False)


def ratios_of(job, ranks, nodes):
    """(metadata, bytes) of the job to those of one plain rank, both less what exec costs."""
    base, base_exec, job_exec = one_plain_rank(), exec_only(1, 1), exec_only(ranks, nodes)
    assert base.code == 0 and base.output == "sum 0 1.0\n", f"exit {base.code}: {base.output!r}\n{base.errors}"
    metadata = (job.metadata_ops - job_exec.metadata_ops) / (base.metadata_ops - base_exec.metadata_ops)
    read = (job.read_bytes - job_exec.read_bytes) / (base.read_bytes - base_exec.read_bytes)
    print(f"    {ranks} ranks on {nodes} nodes: metadata {metadata:.3f}, bytes {read:.3f} (one rank: {base.metadata_ops} operations, "
          f"{base.read_bytes} bytes; exec only: {job_exec.metadata_ops}, {job_exec.read_bytes})")
    return metadata, read


def assert_sum(job, ranks):
    """The job has printed what a plain one prints."""
    expected = f"sum {ranks * (ranks - 1) // 2} 1.0\n"
    assert job.code == 0 and job.output == expected, f"exit {job.code}: {job.output!r}, not {expected!r}\n{job.errors}"


@pytest.mark.parametrize("ranks, nodes", [(2, 2), (8, 4), (16, 4)])
def test_ratios(ranks, nodes):
    job = shared_job(ALLREDUCE, ranks, nodes)
    assert_sum(job, ranks)
    assert job.report["nodes"] == nodes and job.report["ranks_reporting"] == ranks, f"{job.report['nodes']} nodes"
    metadata, read = ratios_of(job, ranks, nodes)
    assert metadata <= 1.05, f"metadata ratio {metadata:.3f}"
    assert read <= 1.05, f"bytes ratio {read:.3f}"


# --- the plan ------------------------------------------------------------------------------------------------------


class PlannedProgram:
    """A program with modules of its own in a served local directory. It runs several times with one plan."""

    def __init__(self, directory):
        self.place = pathlib.Path(directory, "site")
        self.place.mkdir()
        self.plan = pathlib.Path(directory, "plan")
        self.app = script(directory, """
            import importlib, importlib.util, os, sys
            values = [getattr(importlib.import_module(n), "value", None) if importlib.util.find_spec(n) else "-" for n in sys.argv[1:]]
            os.write(1, (" ".join(map(str, values)) + "\\n").encode())
            """)

    def write(self, name, value):
        (self.place / f"{name}.py").write_text(f"value = {value!r}\n")

    def run(self, *names, mode="", ranks=2, env=None):
        return local_job([PYTHON, self.app, *names], ranks, {
            "FASTIMPORT_PLAN": f"{mode}{self.plan}", "FASTIMPORT_PATH": str(self.place), "PYTHONPATH": str(self.place),
            "PYTHONDONTWRITEBYTECODE": "1", "FASTIMPORT_REPORT": str(self.plan) + ".json", **(env or {})})

    def report(self):
        return sharedjob.read_json(str(self.plan) + ".json")["plan"]


@pytest.fixture
def program(scratch):
    """A PlannedProgram."""
    return PlannedProgram(scratch)


def expect_lines(done, line, ranks=2):
    assert_done(done, f"{line}\n" * ranks)


def test_a_warm_start_sees_what_changed(program):
    for name in "abc":
        program.write(name, name + "1")
    expect_lines(program.run("a", "b", "c", "d"), "a1 b1 c1 -")
    assert program.report()["entries"] == 0, "the first start is cold"
    for _ in range(2):  # what is looked up ahead of a question depends on time, and may differ once
        expect_lines(program.run("a", "b", "c", "d"), "a1 b1 c1 -")
        warm = program.report()
        if warm["missed"] == 0:
            break
    assert warm["entries"] > 50 and warm["missed"] == 0, f"{warm}"
    program.write("a", "edited, and longer")
    (program.place / "b.py").unlink()
    program.write("d", "new")
    expect_lines(program.run("a", "b", "c", "d"), "edited, and longer - c1 new")


def test_plan_modes(program):
    program.write("a", 1)
    expect_lines(program.run("a", mode="record:"), "1")
    recorded = program.plan.read_text()
    expect_lines(program.run("a", "json", mode="use:", ranks=4), "1 None", ranks=4)
    assert program.report()["entries"] > 50 and program.report()["missed"] > 0, str(program.report())
    assert program.plan.read_text() == recorded, "use: must not write"
    expect_lines(program.run("a", env={"FASTIMPORT_PLAN": "off"}), "1")
    assert program.report()["file"] == "", "off must be off"


def test_a_bad_plan_is_one_warning(program):
    program.write("a", 1)
    expect_lines(program.run("a", mode="record:"), "1")
    good = program.plan.read_bytes()
    for bad, why in ((good[: len(good) // 2], "truncated or damaged"), (good.replace(b"json", b"jsom", 1) if b"json" in good else
                     good.replace(b"encodings", b"encodinsg", 1), "truncated or damaged"), (b"something else\n", "no plan"),
                     (b"", "no plan")):
        program.plan.write_bytes(bad)
        done = program.run("a", mode="use:")
        assert done.stdout == "1\n1\n" and done.returncode == 0, f"{done}"
        assert done.stderr.count("is not used") == 1 and why in done.stderr, f"{why}: {done.stderr}"
    program.plan.write_bytes(good)
    done = program.run("a", mode="use:", env={"FASTIMPORT_PATH": f"{program.place}:/opt"})
    assert "another environment" in done.stderr and done.stdout == "1\n1\n", f"{done}"


def test_a_plan_that_cannot_be_written_is_one_warning(program):
    program.write("a", 1)
    done = program.run("a", env={"FASTIMPORT_PLAN": "/nonexistent/plan"})
    assert done.stdout == "1\n1\n" and done.returncode == 0, f"{done}"
    assert done.stderr.count("cannot be written") == 1, done.stderr


def test_a_plan_that_is_no_file_is_not_waited_for(program):
    program.write("a", 1)
    os.mkfifo(program.plan)
    start = time.monotonic()
    done = program.run("a")
    assert done.stdout == "1\n1\n" and done.returncode == 0 and time.monotonic() - start < 10, f"{done}"
    assert done.stderr.count("is no regular file") == done.stderr.count("fastimport: ") == 1 and program.plan.is_fifo(), done.stderr


def test_the_plans_directory_is_made(program):
    program.write("a", 1)
    home = program.place.parent / "scratch/of/the/job"
    expect_lines(program.run("a", env={"FASTIMPORT_PLAN": "", "XDG_CACHE_HOME": str(home)}), "1")
    assert [p.suffix for p in (home / "fastimport").iterdir()] == [".plan"], f"{list(home.rglob('*'))}"
    assert home.stat().st_mode & 0o777 == 0o700, f"{home.stat()}"


# Recomputes the checksum of a plan, and makes its last line.
SEAL = """
#include <stdio.h>
#include "base/hash.h"
int main(void)
{
    static char text[1 << 22];
    size_t n = fread(text, 1, sizeof text, stdin);
    fwrite(text, 1, n, stdout);
    return printf("end %016llx\\n", (unsigned long long)fi_hash(text, n, 0)) < 0;
}
"""


def test_a_plan_runs_no_code(program):
    """A name in the plan has ".." behind a symlink. By it the root would read another file into the copy of a module, here the byte code of "a"."""
    program.write("a", "good")
    for _ in range(2):  # the first makes the byte code, the second reads it
        expect_lines(program.run("a", mode="record:", env={"PYTHONDONTWRITEBYTECODE": ""}), "good")
    source = program.place / "a.py"
    target = pathlib.Path(importlib.util.cache_from_source(source))
    here = program.plan.parent
    evil = pathlib.Path(f"{here}{target}")
    evil.parent.mkdir(parents=True)
    evil.write_bytes(target.read_bytes()[:16] + marshal.dumps(compile("value = 'evil'", str(source), "exec")))
    depth = len(here.parts)  # of here / "link", too
    deep = here.joinpath(*"d" * depth)
    deep.mkdir(parents=True)
    (here / "link").symlink_to(deep)
    up = "/.."
    name = f"{program.place}{up * depth}{here}/link{up * depth}{target}"  # as text it is the target
    assert os.path.realpath(name) == str(evil) and os.path.normpath(name) == str(target), (
        f"{name}: {os.path.realpath(name)}, not {evil}")
    lines = program.plan.read_bytes().splitlines(keepends=True)[:-1]
    content = [line for line in lines if line.startswith(b"6 0") and line.endswith(f"{target}\n".encode())]
    assert content, f"no byte code among {len(lines)} entries"
    evil_line = b" ".join(content[0].split(b" ")[:4]) + b" " + name.encode() + b"\n"
    (here / "seal.c").write_text(SEAL)
    subprocess.run(["gcc", f"-I{ROOT}/preload", "-o", here / "seal", here / "seal.c"], check=True)
    sealed = subprocess.run([here / "seal"], input=b"".join(lines + [evil_line]), capture_output=True, check=True).stdout
    program.plan.write_bytes(sealed)
    done = program.run("a", mode="use:")
    assert done.stdout == "good\ngood\n" and done.stderr.count("makes no sense") == 1, f"{done}"


def test_entries_age_out(program):
    program.write("a", 1)
    program.write("b", 2)
    expect_lines(program.run("a", "b"), "1 2")
    assert "b.py" in program.plan.read_text(), "b is planned"
    for _ in range(6):
        expect_lines(program.run("a"), "1")
    assert "/b.py" not in program.plan.read_text() and "/a.py" in program.plan.read_text(), "b should have aged out"


def test_ratios_warm_of_8_ranks_on_4_nodes(scratch):
    app = script(scratch, ALLREDUCE)

    def run():
        return sharedjob.run([PYTHON, app], ENVIRONMENT, 8, 4, CLIENT, env={"FASTIMPORT_PLAN": f"{scratch}/plan"}, preload=LIBRARY)

    cold, warm = run(), run()
    if warm.report["plan"]["missed"]:  # a rank used up its wait budget during the bulk, on a loaded machine; the plan has learned
        print(f"    once more: {warm.report['plan']}")
        warm = run()
    assert_sum(cold, 8)
    assert_sum(warm, 8)
    metadata, read = ratios_of(warm, 8, 4)
    assert metadata <= 1.05 and read <= 1.05, f"metadata {metadata:.3f}, bytes {read:.3f}"
    assert warm.report["plan"]["missed"] == 0, f"misses after the bulk: {warm.report['plan']}"


# --- a slow file ------------------------------------------------------------------------------------------------------


def test_a_large_file_on_a_slow_file_system_is_read_once():
    """It takes longer than a rank waits for one that is silent (FASTIMPORT_WAIT_MS). The root's helper reads it, for another rank."""
    size = 12000000
    with network_directory("--bandwidth=6") as (mount, local):
        (mount.parent / "source/large").write_bytes(b"x" * size)
        done = python_job(f"""
            import os, time
            if os.environ["PMI_RANK"] == "0":
                while not os.path.exists("{local}/reads"):
                    time.sleep(0.01)
                time.sleep(0.2)
            else:
                open("{local}/reads", "w").close()
            with open("{mount}/large", "rb") as f:
                os.write(1, b"%d\\n" % len(f.read()))
        """, env={"FASTIMPORT_PATH": str(mount), "FASTIMPORT_WAIT_MS": "500", "FASTIMPORT_REPORT": f"{local}/report"})
        assert_done(done, f"{size}\n" * 2)
        report = sharedjob.read_json(f"{local}/report")
        assert size <= report["bytes_read"] < 1.5 * size, report


def test_other_nodes_wait_for_a_slow_file():
    """The root's reader takes longer than 12 times FASTIMPORT_WAIT_MS, after which they would read the file themselves."""
    size = 22000000
    with network_directory("--bandwidth=2") as (mount, local):
        (mount.parent / "source/large").write_bytes(b"x" * size)
        done = nodes_job(f"""
            import os
            if os.environ["PMI_RANK"] == "1":
                with open("{mount}/large", "rb") as f:
                    os.write(1, b"%d\\n" % len(f.read()))
        """, ranks=2, nodes=2, env={"FASTIMPORT_PATH": str(mount), "FASTIMPORT_WAIT_MS": "700", "FASTIMPORT_REPORT": f"{local}/report"})
        assert_done(done, f"{size}\n")
        report = sharedjob.read_json(f"{local}/report")
        assert report["fallbacks"]["timeout"] == 0 and size <= report["bytes_read"] < 1.5 * size, report
