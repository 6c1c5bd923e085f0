# SPDX-License-Identifier: BSD-3-Clause
"""bench/bulk/run: a small one from beginning to end, and its message for wrong options."""

import csv
import json

import pytest
from support import ROOT, call

RUN = ROOT / "bench/bulk/run"


@pytest.mark.needs("root")
@pytest.mark.usefixtures("environment")
def test_a_small_one(scratch):
    done = call(RUN, "--megabytes", "16", "--libraries", "2", "--nodes", "2", "--repetitions", "1", "--quiet", "0", "--output", scratch)
    assert done.returncode == 0, done.stderr
    with open(scratch / "bulk.csv", encoding="ascii") as f:
        rows = {(row["case"], row["chunk"]): row for row in csv.DictReader(f)}
    assert len(json.loads((scratch / "bulk.json").read_text())) == len(rows)
    bulk = rows["bulk", ""]
    assert float(bulk["bytes"]) >= 16e6
    assert abs(float(bulk["cache_bytes"]) - 16e6) < 1e5
    assert sum(case == "bare" for case, _ in rows) == sum(case == "bare, stored" for case, _ in rows)
    assert ("bare", "524288") in rows
    assert "a bare broadcast that stores what it receives" in done.stdout


def test_wrong_options(assert_refused):
    assert_refused([RUN, "--megabytes", "0"], "must be positive")
