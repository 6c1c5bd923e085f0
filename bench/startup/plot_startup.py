# SPDX-License-Identifier: BSD-3-Clause
"""plot_startup.py RESULTS.json DIRECTORY: startup time and metadata operations against ranks.

Writes DIRECTORY/startup-WORKLOAD.png and .svg for each workload.
"""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
import summary  # noqa: E402

MARKS = {"plain": ("#c0392b", "o", "without fastimport"), "cold": ("#2471a3", "s", "fastimport, cold"),
         "warm": ("#1e8449", "^", "fastimport, warm"), "staged": ("#7f8c8d", "D", "staged copy, without")}


def series(lines, mode, value):
    """The points (ranks, value) of a mode; for each number of ranks the one on the most nodes."""
    points = {}
    for line in sorted(lines, key=lambda x: (x["ranks"], x["nodes"])):
        if line["mode"] == mode and line[value] is not None and not line["readahead"]:
            points[line["ranks"]] = line[value]
    return sorted(points.items())


def draw_times(ax, lines):
    for mode, (colour, mark, label) in MARKS.items():
        points = series(lines, mode, "startup_s")
        if points:
            x, y = [p[0] for p in points], [p[1][0] for p in points]
            spread = [[p[1][0] - p[1][1] for p in points], [p[1][2] - p[1][0] for p in points]]
            ax.errorbar(x, y, spread, color=colour, marker=mark, label=label, capsize=2, markersize=4)
    ax.set_ylabel("startup, s (bare MPI start taken off)")


def draw_operations(ax, lines):
    for mode, (colour, mark, label) in MARKS.items():
        points = series(lines, mode, "metadata_ops") if mode != "staged" else []
        if points:
            ax.plot(*zip(*points), color=colour, marker=mark, label=label, markersize=4)
    ax.set_ylabel("metadata operations at the server")


def draw_workload(lines, workload, directory):
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    draw_times(axes[0], lines)
    draw_operations(axes[1], lines)
    ranks = sorted({line["ranks"] for line in lines})
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.set_xticks(ranks, [str(r) for r in ranks])
        ax.set_xlabel("ranks")
        ax.set_ylim(bottom=0)
        ax.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.suptitle(workload, fontsize=10)
    for kind in "png", "svg":
        figure.savefig(f"{directory}/startup-{workload}.{kind}", dpi=110)


def main():
    results = json.loads(pathlib.Path(sys.argv[1]).read_text())
    matplotlib.rcParams["svg.hashsalt"] = "startup"
    lines = summary.summarise(results["runs"])
    for workload in dict.fromkeys(line["workload"] for line in lines):
        draw_workload([line for line in lines if line["workload"] == workload], workload, sys.argv[2])


main()
