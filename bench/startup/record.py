"""Results are kept as they come: runs.csv grows by a line a run, results.json is replaced after each."""

import csv
import json
import os
import pathlib
import statistics

COLUMNS = ["workload", "mode", "ranks", "nodes", "readahead", "repetition", "wall_s", "startup_s", "to_main_s",
           "import_min_s", "import_median_s", "import_max_s", "cpu_s", "metadata_ops", "read_bytes", "plan_missed", "warning", "error"]


def median(values):
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def row_of(case, repetition, run, error=None):
    """A run as a flat record; without a run, one that says why."""
    row = dict.fromkeys(COLUMNS)
    row |= {"workload": case.workload, "mode": case.kind, "ranks": case.ranks, "nodes": case.nodes,
            "readahead": case.readahead, "repetition": repetition, "error": error}
    if run is None:
        return row
    plan = (run.report or {}).get("plan") or {}
    row |= {"wall_s": run.wall, "startup_s": run.startup, "to_main_s": median(run.to_main), "cpu_s": run.cpu,
            "metadata_ops": run.metadata_ops, "read_bytes": run.read_bytes, "plan_missed": plan.get("missed"), "warning": run.warning}
    if run.imports:
        row |= {"import_min_s": min(run.imports), "import_median_s": median(run.imports), "import_max_s": max(run.imports)}
    return row


class Record:
    """The results of one call of bench/startup/run, in a directory."""

    def __init__(self, directory, about):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.about, self.rows = about, []
        with open(self.directory / "runs.csv", "w", encoding="ascii", newline="") as f:
            csv.writer(f).writerow(COLUMNS)

    def add(self, case, repetition, run, error=None):
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
        text = json.dumps({**self.about, "runs": self.rows}, indent=1)
        fresh = self.directory / ".results.json"
        fresh.write_text(text + "\n")
        os.replace(fresh, self.directory / "results.json")
