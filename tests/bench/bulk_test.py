#!/usr/bin/python3
"""bench/bulk: a small one from beginning to end, and what it says of wrong options."""

import csv
import json
import subprocess
import tempfile
import unittest

import harness

RUN = harness.ROOT / "bench/bulk/run"


def setUpModule():
    """The first run on a machine builds the environment, which takes its time."""
    subprocess.run([harness.ROOT / "bench/env/make-env"], check=True, stdout=subprocess.DEVNULL)


class Bulk(unittest.TestCase):
    def test_a_small_one(self):
        with tempfile.TemporaryDirectory() as place:
            done = harness.call(RUN, "--megabytes", "16", "--libraries", "2", "--nodes", "2", "--repetitions", "1", "--quiet", "0", "--output", place)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(f"{place}/bulk.csv", encoding="ascii") as f:
                rows = {(row["case"], row["chunk"]): row for row in csv.DictReader(f)}
            with open(f"{place}/bulk.json", encoding="ascii") as f:
                self.assertEqual(len(json.load(f)), len(rows))
        bulk = rows["bulk", ""]
        self.assertGreaterEqual(float(bulk["bytes"]), 16e6)
        self.assertLess(abs(float(bulk["cache_bytes"]) - 16e6), 1e5)
        self.assertEqual(sum(case == "bare" for case, _ in rows), sum(case == "bare, stored" for case, _ in rows))
        self.assertIn(("bare", "524288"), rows)
        self.assertIn("a bare broadcast that stores what it receives", done.stdout)

    def test_wrong_options(self):
        done = harness.call(RUN, "--megabytes", "0")
        self.assertEqual(done.returncode, 2)
        self.assertIn("must be positive", done.stderr)


if __name__ == "__main__":
    harness.main()
