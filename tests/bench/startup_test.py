#!/usr/bin/python3
"""bench/startup/run: its arithmetic on made-up rows, its options, and what it keeps when a rank fails."""

import csv
import json
import os
import pathlib
import sys
import tempfile
import unittest

import harness

sys.dont_write_bytecode = True
sys.path.insert(0, str(harness.ROOT / "bench/startup"))
import cases  # noqa: E402
import machine  # noqa: E402
import record  # noqa: E402
import summary  # noqa: E402

STARTUP = harness.ROOT / "bench/startup/run"


def row(mode, ranks, nodes, startup, ops=None, size=None, workload="w", readahead=0, error=None):
    made = dict.fromkeys(record.COLUMNS)
    return made | {"workload": workload, "mode": mode, "ranks": ranks, "nodes": nodes, "readahead": readahead, "startup_s": startup,
                   "metadata_ops": ops, "read_bytes": size, "error": error}


class Arithmetic(unittest.TestCase):
    def setUp(self):
        self.rows = [row("plain", 1, 1, 2.0, 110, 1100), row("exec", 1, 1, None, 10, 100), row("exec", 4, 2, None, 20, 200),
                     row("plain", 4, 2, 5.0, 320, 3200), *(row("warm", 4, 2, s, 120, 1700) for s in (3.0, 1.0, 2.0)),
                     row("staged", 4, 2, 1.25), row("bare", 4, 2, 0.25, workload="-")]

    def line(self, **wanted):
        return summary.find(summary.summarise(self.rows), **wanted)

    def test_ratios_are_net_of_exec_and_to_one_plain_rank(self):
        self.assertEqual(self.line(mode="plain", ranks=4)["metadata_ratio"], 3.0)
        self.assertEqual(self.line(mode="warm")["metadata_ratio"], 1.0)
        self.assertEqual(self.line(mode="warm")["bytes_ratio"], 1.5)

    def test_no_ratio_without_a_base(self):
        self.rows = [r for r in self.rows if r["ranks"] != 1]
        self.assertIsNone(self.line(mode="warm")["metadata_ratio"])

    def test_startup_is_a_median_less_the_bare_start(self):
        self.assertEqual(self.line(mode="warm")["startup_s"], (1.75, 0.75, 2.75))
        lines = summary.summarise(self.rows)
        self.assertEqual(summary.over_staged(lines, summary.find(lines, mode="warm")), 1.75)

    def test_failed_runs_do_not_count(self):
        self.rows.append(row("warm", 4, 2, 100.0, 9999, error="no"))
        self.assertEqual(self.line(mode="warm")["startup_s"][0], 1.75)

    def test_a_warning_of_fastimport_is_shown(self):
        self.rows[4]["warning"] = "fastimport: rank 0: warning: cold and alone"
        page = summary.markdown({"text": "", "programs": {}}, self.rows)
        self.assertIn("w, warm, 4 ranks on 2 nodes: fastimport: rank 0: warning: cold and alone", page)

    def test_pass_starts_no_mpi_of_its_own(self):
        self.assertFalse(summary.starts_mpi("pass", "plain"))
        self.assertTrue(summary.starts_mpi("pass", "warm"))

    def test_times_from_stamps(self):
        run = machine.from_stamps(9.0, [{"exec": 10**9, "main": 2 * 10**9, "imported": 4 * 10**9, "cpu": 10**9},
                                        {"exec": 2 * 10**9, "main": 3 * 10**9, "imported": 6 * 10**9, "cpu": 10**9}])
        self.assertEqual((run.startup, run.to_main, run.imports, run.cpu), (5.0, [1.0, 1.0], [2.0, 3.0], 2.0))

    def test_shapes(self):
        self.assertEqual(cases.shapes([1, 2, 4, 8, 16], [1, 2, 4, 8], False), [(1, 1), (2, 1), (4, 2), (8, 4), (16, 8)])
        self.assertEqual(cases.shapes([1, 2], [1, 2], True), [(1, 1), (2, 1), (2, 2)])
        self.assertEqual(cases.shapes([1, 8], [8], False), [(8, 8)])


class Options(unittest.TestCase):
    def check(self, words, message):
        done = harness.call(STARTUP, *words)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn(message, done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_wrong_options_say_what_is_wrong(self):
        self.check(["--modes", "hot"], "unknown 'hot'")
        self.check(["--workloads", "fortran"], "unknown 'fortran'")
        self.check(["--ranks", "0"], "not a list of positive numbers")
        self.check(["--ranks", "1", "--nodes", "2"], "do not fill")
        self.check(["--path", "/nonexistent"], "is not a directory")
        self.check(["--env", "x"], "not NAME=VALUE")
        self.check(["--"], "no program")
        self.check(["--nosuch"], "unrecognized")

    def test_missing_program(self):
        with tempfile.TemporaryDirectory() as scratch:
            self.check(["--share", scratch, "--output", scratch, "--", "nosuchprogram"], "no program 'nosuchprogram'")
            self.check(["--share", scratch, "--output", scratch, "--", "/bin/sh", "nosuch.py"], "no program 'nosuch.py'")


class Jobs(unittest.TestCase):
    """On a local directory with the system's Python; mpiexec is real."""

    def run_startup(self, scratch, program):
        app = pathlib.Path(scratch, "app.py")
        app.write_text(program)
        done = harness.call(STARTUP, "--path", scratch, "--launcher", "mpiexec.mpich -n {ranks}", "--modes", "plain", "--ranks", "1,2",
                            "--nodes", "1", "--repetitions", "2", "--output", f"{scratch}/out", "--", "/usr/bin/python3", app)
        return done, json.loads(pathlib.Path(scratch, "out/results.json").read_text())["runs"]

    def test_times_of_ranks(self):
        with tempfile.TemporaryDirectory() as scratch:
            done, runs = self.run_startup(scratch, "import time; time.sleep(0.3); import fractions; time.sleep(0.5)")
            self.assertEqual(done.returncode, 0, done.stderr)
            times = [r for r in runs if r["mode"] == "plain"]
            self.assertEqual(len(times), 4)
            for r in times:
                self.assertGreater(r["import_min_s"], 0.3)
                self.assertGreater(r["wall_s"], r["startup_s"] + 0.49)  # what follows the last import is not startup

    def test_a_failing_rank_is_named_and_the_rest_is_kept(self):
        with tempfile.TemporaryDirectory() as scratch:
            done, runs = self.run_startup(scratch, "import os, sys, json; sys.exit('rank one is ill' if os.environ['PMI_RANK'] == '1' else 0)")
            self.assertEqual(done.returncode, 1)
            self.assertIn("program, plain, 2 ranks on 1 nodes: exit code 1", done.stderr)
            self.assertIn("rank one is ill", done.stderr)
            self.assertEqual([r["error"] is None for r in runs if r["mode"] == "plain"], [True, False, True])
            with open(f"{scratch}/out/runs.csv", encoding="utf-8") as f:
                self.assertEqual(len(list(csv.DictReader(f))), len(runs))
            self.assertIn("## Failed", pathlib.Path(scratch, "out/results.md").read_text())

    def test_a_rank_that_leaves_no_times(self):
        with tempfile.TemporaryDirectory() as scratch:
            done, _ = self.run_startup(scratch, "import os, json; os._exit(0) if os.environ['PMI_RANK'] == '1' else None")
            self.assertEqual(done.returncode, 1)
            self.assertIn("1 of 2 ranks left no times", done.stderr)


class Staged(unittest.TestCase):
    @unittest.skipIf(os.geteuid(), "needs root")
    def test_each_node_sees_its_own_copy(self):
        with tempfile.TemporaryDirectory() as scratch:
            for node in "01":
                pathlib.Path(scratch, "copies", node).mkdir(parents=True)
                pathlib.Path(scratch, "copies", node, "name").write_text(f"copy {node}\n")
            os.mkdir(f"{scratch}/place")
            nodes = harness.ROOT / "bench/emulator/nodes/mpiexec-nodes"
            done = harness.call(nodes, "-N", 2, "-n", 2, "--staged", f"{scratch}/copies", "--mount", f"{scratch}/place", "--", "cat",
                                f"{scratch}/place/name")
            self.assertEqual((done.returncode, sorted(done.stdout.splitlines())), (0, ["copy 0", "copy 1"]), done.stderr)
            done = harness.call(nodes, "-N", 3, "-n", 3, "--staged", f"{scratch}/copies", "--mount", f"{scratch}/place", "--", "true")
            self.assertEqual(done.returncode, 2)
            self.assertIn("no copy for each of 3 nodes", done.stderr)


if __name__ == "__main__":
    harness.main()
