# SPDX-License-Identifier: BSD-3-Clause
"""bench/startup/run: its arithmetic on made-up rows, its options, and what it keeps when a rank fails."""

import csv
import json

import cases
import dilation
import machine
import pytest
import record
import summary
from support import ROOT, call

STARTUP = ROOT / "bench/startup/run"


# --- arithmetic ---------------------------------------------------------------------------------------------------


def row(mode, ranks, nodes, startup, ops=None, size=None, workload="w", error=None):
    made = dict.fromkeys(record.COLUMNS)
    return made | {"workload": workload, "mode": mode, "ranks": ranks, "nodes": nodes, "readahead": 0, "startup_s": startup,
                   "metadata_ops": ops, "read_bytes": size, "error": error}


@pytest.fixture
def rows():
    """Three warm runs, and one of each other case that the ratios need."""
    return [row("plain", 1, 1, 2.0, 110, 1100), row("exec", 1, 1, None, 10, 100), row("exec", 4, 2, None, 20, 200),
            row("plain", 4, 2, 5.0, 320, 3200), *(row("warm", 4, 2, s, 120, 1700) for s in (3.0, 1.0, 2.0)),
            row("staged", 4, 2, 1.25), row("bare", 4, 2, 0.25, workload="-")]


def line(rows, **wanted):
    return summary.find(summary.summarise(rows), **wanted)


def test_ratios_are_net_of_exec_and_to_one_plain_rank(rows):
    assert line(rows, mode="plain", ranks=4)["metadata_ratio"] == 3.0
    assert line(rows, mode="warm")["metadata_ratio"] == 1.0
    assert line(rows, mode="warm")["bytes_ratio"] == 1.5


def test_no_ratio_without_a_base(rows):
    assert line([r for r in rows if r["ranks"] != 1], mode="warm")["metadata_ratio"] is None


def test_startup_is_a_median_less_the_bare_start(rows):
    assert line(rows, mode="warm")["startup_s"] == (1.75, 0.75, 2.75)
    lines = summary.summarise(rows)
    assert summary.over_staged(lines, summary.find(lines, mode="warm")) == 1.75


def test_failed_runs_do_not_count(rows):
    rows.append(row("warm", 4, 2, 100.0, 9999, error="no"))
    assert line(rows, mode="warm")["startup_s"][0] == 1.75


def test_a_warning_of_fastimport_is_shown(rows):
    rows[4]["warning"] = "fastimport: rank 0: warning: cold and alone"
    page = summary.results_page({"text": "", "programs": {}}, rows)
    assert "w, warm, 4 ranks on 2 nodes: fastimport: rank 0: warning: cold and alone" in page


def test_pass_starts_no_mpi_of_its_own():
    assert not summary.starts_mpi("pass", "plain")
    assert summary.starts_mpi("pass", "warm")


STAMPS = [{"exec": 10**9, "main": 2 * 10**9, "imported": 4 * 10**9, "cpu": 10**9, "own_cpu": 10**9},
          {"exec": 2 * 10**9, "main": 3 * 10**9, "imported": 6 * 10**9, "cpu": 10**9, "own_cpu": 10**9}]


def test_times_from_stamps():
    run = machine.from_stamps(9.0, STAMPS)
    assert (run.startup, run.to_main, run.imports, run.cpu) == (5.0, [1.0, 1.0], [2.0, 3.0], 2.0)


def test_dilated_times_are_divided():
    run = machine.from_stamps(8.0, STAMPS, 2)
    assert (run.wall, run.startup, run.to_main, run.imports, run.cpu) == (4.0, 2.5, [0.5, 0.5], [1.0, 1.5], 2.0)


def test_a_dilated_rank_does_not_compute_faster_than_its_share():
    computed = [{**STAMPS[0], "own_cpu": 2 * 10**9}]  # from 1 s on, 2 s of computing: not before 1 + 4 * 2 s
    assert machine.from_stamps(9.0, computed, 4).startup == 2.0


def test_dilation_is_ranks_by_cores():
    assert [dilation.factor(ranks, 2) for ranks in (1, 2, 3, 64)] == [1, 1, 1.5, 32]
    assert dilation.client({"rtt": 200}, 1) == {"rtt": 200}
    assert dilation.client({"rtt": 200}, 1.5) == {"rtt": 200, "dilate": "1.5"}
    assert (dilation.variables(1), dilation.variables(32)) == ({}, {"FASTIMPORT_DILATE": "32"})


def test_rivals_stand_beside_fastimport(rows):
    image = row("image", 4, 2, 1.25, 2, 900) | {"prepare_s": 0.5, "node_bytes": 80e6}
    page = summary.results_page({"text": "", "programs": {}, "packed": {"image": 20.0}}, [*rows, image])
    assert "| image | 20.0 | 0.50 | 1.00 | 1.50 | 2 | 0.0 | 80 | pack, broadcast, mount |" in page
    assert "| warm | - | - | 1.75 | 1.75 | 120 | 0.0 | - | nothing |" in page


def test_shapes():
    assert cases.shapes([1, 2, 4, 8, 16], [1, 2, 4, 8], False) == [(1, 1), (2, 1), (4, 2), (8, 4), (16, 8)]
    assert cases.shapes([1, 2], [1, 2], True) == [(1, 1), (2, 1), (2, 2)]
    assert cases.shapes([1, 8], [8], False) == [(8, 8)]


# --- options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words, message", [
    (["--modes", "hot"], "unknown 'hot'"),
    (["--workloads", "fortran"], "unknown 'fortran'"),
    (["--ranks", "0"], "not a list of positive numbers"),
    (["--ranks", "1", "--nodes", "2"], "do not fill"),
    (["--path", "/nonexistent"], "is not a directory"),
    (["--env", "x"], "not NAME=VALUE"),
    (["--dilate", "0.5"], "neither auto nor a number"),
    (["--"], "no program"),
    (["--nosuch"], "unrecognized")])
def test_wrong_options_say_what_is_wrong(assert_refused, words, message):
    assert_refused([STARTUP, *words], message)


@pytest.mark.needs("root")
@pytest.mark.parametrize("program, name", [(["nosuchprogram"], "nosuchprogram"), (["/bin/sh", "nosuch.py"], "nosuch.py")])
def test_missing_program(assert_refused, scratch, program, name):
    assert_refused([STARTUP, "--share", scratch, "--output", scratch, "--", *program], f"no program '{name}'")


# --- jobs: on a local directory, with the system's Python and mpiexec -----------------------------------------------


@pytest.fixture
def startup(scratch):
    """Measures a program, plain on 1 and 2 ranks, twice each. Returns (the CompletedProcess, the runs of results.json)."""
    def run(program):
        (scratch / "app.py").write_text(program)
        done = call(STARTUP, "--path", scratch, "--launcher", "mpiexec.mpich -n {ranks}", "--modes", "plain", "--ranks", "1,2",
                    "--nodes", "1", "--repetitions", "2", "--output", scratch / "out", "--", "/usr/bin/python3", scratch / "app.py")
        return done, json.loads((scratch / "out/results.json").read_text())["runs"]
    return run


def test_times_of_ranks(startup):
    done, runs = startup("import time; time.sleep(0.3); import fractions; time.sleep(0.5)")
    assert done.returncode == 0, done.stderr
    times = [r for r in runs if r["mode"] == "plain"]
    assert len(times) == 4
    for r in times:
        assert r["import_min_s"] > 0.3
        assert r["wall_s"] > r["startup_s"] + 0.49  # what follows the last import is not startup


def test_a_failing_rank_is_named_and_the_rest_is_kept(startup, scratch):
    done, runs = startup("import os, sys, json; sys.exit('rank one is ill' if os.environ['PMI_RANK'] == '1' else 0)")
    assert done.returncode == 1
    assert "program, plain, 2 ranks on 1 nodes: exit code 1" in done.stderr
    assert "rank one is ill" in done.stderr
    assert [r["error"] is None for r in runs if r["mode"] == "plain"] == [True, False, True]
    with open(scratch / "out/runs.csv", encoding="utf-8") as f:
        assert len(list(csv.DictReader(f))) == len(runs)
    assert "## Failed" in (scratch / "out/results.md").read_text()


def test_a_rank_that_leaves_no_times(startup):
    done, _ = startup("import os, json; os._exit(0) if os.environ['PMI_RANK'] == '1' else None")
    assert done.returncode == 1
    assert "1 of 2 ranks left no times" in done.stderr
