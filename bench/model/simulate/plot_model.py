# SPDX-License-Identifier: BSD-3-Clause
"""plot_model.py MODEL.json DIRECTORY: startup against nodes, one panel for each system. Writes model.png and model.svg."""

import json
import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

LINES = {"plain": ("#c0392b", "-", "without fastimport"), "cold": ("#2471a3", "-", "fastimport, cold"),
         "warm": ("#1e8449", "-", "fastimport, warm"), "warm, Ibcast": ("#1e8449", ":", "warm, by MPI_Ibcast"),
         "staging": ("#7d3c98", "-", "staging tool + start"), "bound cold": ("#2471a3", "--", "bound, cold"),
         "bound warm": ("#1e8449", "--", "bound, warm")}


def main():
    points = json.loads(pathlib.Path(sys.argv[1]).read_text())
    matplotlib.rcParams["svg.hashsalt"] = "model"
    systems = list(dict.fromkeys(p["system"] for p in points))
    figure, axes = plt.subplots(1, len(systems), figsize=(3.4 * len(systems) + 1, 3.6), layout="constrained", sharey=True,
                                squeeze=False)
    for ax, system in zip(axes[0], systems):
        for mode, (colour, line, label) in LINES.items():
            mine = [(p["nodes"], p["seconds"]) for p in points if p["system"] == system and p["mode"] == mode]
            if mine:
                ax.plot(*zip(*mine), color=colour, linestyle=line, label=label, linewidth=1.2)
        ax.set(xscale="log", yscale="log", xlabel="nodes", title=system)
        ax.grid(alpha=0.3)
    axes[0][0].set_ylabel("startup, s")
    axes[0][0].legend(fontsize=7)
    for kind in "png", "svg":
        figure.savefig(f"{sys.argv[2]}/model.{kind}", dpi=110)


main()
