# SPDX-License-Identifier: BSD-3-Clause
"""Keeps the results of bench/startup/run as they come: each run appends a line to runs.csv and replaces results.json."""

import csv
import json
import os
import pathlib
import statistics

# A row of runs.csv, and an element of "runs" in results.json. readahead is in KiB (0: the client's own); *_s are seconds;
# read_bytes and metadata_ops are counted at the server for the whole job; an empty cell: not known.
COLUMNS = ["workload", "mode", "ranks", "nodes", "readahead", "repetition", "wall_s", "startup_s", "to_main_s",
           "import_min_s", "import_median_s", "import_max_s", "cpu_s", "metadata_ops", "read_bytes", "plan_missed", "prepare_s",
           "node_bytes", "warning", "error"]


def row_of(case, repetition, run, error=None):
    """The row of a run (machine.Run); without a run, a row with the error."""
    row = dict.fromkeys(COLUMNS)
    row |= {"workload": case.workload, "mode": case.kind, "ranks": case.ranks, "nodes": case.nodes,
            "readahead": case.readahead, "repetition": repetition, "error": error}
    if run is None:
        return row
    plan = (run.report or {}).get("plan") or {}
    row |= {"wall_s": run.wall, "startup_s": run.startup, "to_main_s": statistics.median(run.to_main) if run.to_main else None,
            "cpu_s": run.cpu, "metadata_ops": run.metadata_ops, "read_bytes": run.read_bytes, "plan_missed": plan.get("missed"),
            "warning": run.warning, "prepare_s": run.prepare,
            "node_bytes": (run.report or {}).get("node_cache_bytes", run.node_bytes)}
    if run.imports:
        row |= {"import_min_s": min(run.imports), "import_median_s": statistics.median(run.imports), "import_max_s": max(run.imports)}
    return row


class Record:
    """The results of one call of bench/startup/run, in a directory.

    about    a dict of facts that results.json holds beside the runs
    rows     the rows so far
    """

    def __init__(self, directory, about):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.about, self.rows = about, []
        with open(self.directory / "runs.csv", "w", encoding="ascii", newline="") as f:
            csv.writer(f).writerow(COLUMNS)

    def add(self, case, repetition, run, error=None):
        """Keeps a run, or the error of one. In results.json it has the operations and the report of fastimport, too."""
        row = row_of(case, repetition, run, error)
        self.rows.append(row)
        with open(self.directory / "runs.csv", "a", encoding="utf-8", newline="") as f:
            csv.DictWriter(f, COLUMNS).writerow(row)
        if run and run.ops:
            row["ops"] = run.ops
        if run and run.report:
            row["report"] = run.report
        self.save()

    def save(self):
        """Replaces results.json at once, so that an interrupted call leaves a whole file."""
        text = json.dumps({**self.about, "runs": self.rows}, indent=1)
        fresh = self.directory / ".results.json"
        fresh.write_text(text + "\n")
        os.replace(fresh, self.directory / "results.json")
