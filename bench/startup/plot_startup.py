# SPDX-License-Identifier: BSD-3-Clause
"""plot_startup.py RESULTS.json DIRECTORY: startup time and metadata operations against ranks.

Writes DIRECTORY/startup-WORKLOAD.png and .svg for each workload, and rivals-WORKLOAD.png and .svg if there are rivals.
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
from rivals import RIVALS  # noqa: E402

MARKS = {"plain": ("#c0392b", "o", "without fastimport"), "cold": ("#2471a3", "s", "fastimport, cold"),
         "warm": ("#1e8449", "^", "fastimport, warm"), "staged": ("#7f8c8d", "D", "staged copy, without")}


def series(lines, mode, value):
    """The points (ranks, value) of a mode; for each number of ranks the one on the most nodes."""
    points = {}
    for line in sorted(lines, key=lambda x: (x["ranks"], x["nodes"])):
        if line["mode"] == mode and line[value] is not None and not line["readahead"]:
            points[line["ranks"]] = line[value]
    return sorted(points.items())


def label_ends(ax, ends, pattern):
    """Writes the last value of each line beside its end, from the lowest on so that none covers another."""
    low = 0
    for (x, y), colour in sorted(ends):
        low = max(low, y)
        ax.annotate(pattern.format(y), (x, low), (5, -3), textcoords="offset points", color=colour, fontsize=8)
        low += 0.055 * ax.get_ylim()[1]


def draw_lines(ax, lines, value, modes, pattern):
    """One line for each mode; value: startup_s or metadata_ops."""
    ends = []
    for mode in modes:
        colour, mark, label = MARKS[mode]
        points = series(lines, mode, value)
        if not points:
            continue
        x, y = [p[0] for p in points], [p[1][0] if value == "startup_s" else p[1] for p in points]
        spread = [[p[1][0] - p[1][1] for p in points], [p[1][2] - p[1][0] for p in points]] if value == "startup_s" else None
        ax.errorbar(x, y, spread, color=colour, marker=mark, label=label, capsize=2, markersize=4)
        ends.append(((x[-1], y[-1]), colour))
    ax.set_ylim(bottom=0)
    label_ends(ax, sorted(ends, key=lambda end: end[0][1]), pattern)


def save(figure, path):
    for kind in "png", "svg":
        figure.savefig(f"{path}.{kind}", dpi=110)


def draw_workload(lines, workload, directory):
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    draw_lines(axes[0], lines, "startup_s", MARKS, "{:.1f} s")
    draw_lines(axes[1], lines, "metadata_ops", [mode for mode in MARKS if mode != "staged"], "{:,.0f}")
    axes[0].set_title("seconds until the last rank has imported", fontsize=10)
    axes[1].set_title("operations at the file server", fontsize=10)
    ranks = sorted({line["ranks"] for line in lines})
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.set_xticks(ranks, [str(r) for r in ranks])
        ax.set_xlim(right=max(ranks) * 1.9)
        ax.set_xlabel("ranks")
        ax.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    figure.suptitle(workload, fontsize=10)
    save(figure, f"{directory}/startup-{workload}")


def draw_rivals(lines, workload, directory):
    """The largest job that has rivals: preparing and starting, stacked, and what the server has to do."""
    most = max((x["ranks"], x["nodes"]) for x in lines if x["mode"] in RIVALS)
    shown = [x for x in lines if (x["ranks"], x["nodes"]) == most and x["startup_s"] and x["mode"] != "staged"]
    shown.sort(key=lambda x: -x["startup_s"][0] - (x["prepare_s"] or 0))
    names = [x["mode"] for x in shown]
    colours = ["#2471a3" if name in ("cold", "warm") else "#c0392b" if name == "plain" else "#7f8c8d" for name in names]
    figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained", sharey=True)
    prepared = [x["prepare_s"] or 0 for x in shown]
    axes[0].barh(names, prepared, color="#d5d8dc", label="prepare the nodes")
    axes[0].barh(names, [x["startup_s"][0] for x in shown], left=prepared, color=colours, label="start")
    axes[0].set_title("seconds", fontsize=10)
    axes[0].legend(fontsize=8)
    axes[1].barh(names, [x["metadata_ops"] for x in shown], color=colours)
    axes[1].set_title("operations at the server", fontsize=10)
    axes[2].barh(names, [(x["node_bytes"] or 0) / 1e6 for x in shown], color=colours)
    axes[2].set_title("MB in each node's memory", fontsize=10)
    figure.suptitle(f"{workload}, {most[0]} ranks on {most[1]} nodes", fontsize=10)
    save(figure, f"{directory}/rivals-{workload}")


def main():
    results = json.loads(pathlib.Path(sys.argv[1]).read_text())
    matplotlib.rcParams["svg.hashsalt"] = "startup"
    lines = summary.summarise(results["runs"])
    for workload in dict.fromkeys(line["workload"] for line in lines):
        mine = [line for line in lines if line["workload"] == workload]
        draw_workload(mine, workload, sys.argv[2])
        if any(line["mode"] in RIVALS for line in mine):
            draw_rivals(mine, workload, sys.argv[2])


main()
