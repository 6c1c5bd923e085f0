#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""readme_tables.py RESULTS.json MODEL.json: prints the page bench/results/README-tables.md.

RESULTS.json is that of bench/startup/run. Beside MODEL.json, that of bench/model/run, must be its model.md.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path[:0] = [str(HERE.parent), str(HERE)]
import markdown  # noqa: E402
import summary  # noqa: E402
from cases import COUNTED_MODES, MODES  # noqa: E402

REQUEST_SECONDS = 2e-6  # System.request of bench/model/simulate/systems.py
SYSTEM = "lustre"
LARGEST = 10000  # nodes

PAGE = """# Startup in numbers

These are the kept results of {command}. The [method](../README.md) says how they were measured. [startup.md](startup.md) has
all columns.

- [Measured on the emulated file system](#measured-on-the-emulated-file-system)
- [At scale: the model](#at-scale-the-model)
- [What limits fastimport in the model](#what-limits-fastimport-in-the-model)

## Measured on the emulated file system

Each rank as if it had a core of its own (time dilation), on one machine with {machine}. [rivals.md](rivals.md) has the
same beside images, archives and staging.

Metadata operations at the server:

{operations}
Their ratio to those of one plain rank, and that of the bytes (warm):

{ratios}
Startup in seconds:

{times}
![startup time and operations against ranks](startup-numpy-scipy.svg)

- **Operations.** Without fastimport the work of the file system grows with the nodes and ranks. With fastimport it stays about
  that of one rank. Warm, each rank opens the large libraries of which only the touched parts are copied: {opens:.0f} operations for each
  further node in the largest job.
- **Bytes.** Cold, fastimport reads what ld.so maps of each library as a whole; warm, only what a start touches. A plain rank reads
  the pages that it touches and what the client reads ahead. Each further node reads the executable of the interpreter.
- **Time.** Without fastimport the one metadata server is the limit from 16 ranks on. With fastimport the start does not grow
  with the job. Warm takes longer than a copy in local memory ("staged"): joining the job, and the bulk of the plan.

## At scale: the model

`bench/model/run`: seconds of startup with 64 ranks on each node and the parameters called `{system}`.
[model.md](model.md) has all systems, parameters and the sensitivity; [validation.md](validation.md) has predictions beside
measurements.

{modelled}
With MPI_Ibcast instead of fastimport's tree:

{ibcast}
![startup against nodes](model.svg)

Startup / bound, the worst of the three systems:

{limits}
## What limits fastimport in the model

- **The look-ups of the root** take nearly all of a cold start. Python asks for one name after another, and each look-up is a round
  trip. A round trip of twice the length makes a cold start {rtt:.0f}% longer. For the bytecode of a module, Python looks up, opens and
  reads: three round trips in a row. The helper threads of fastimport do one of them at the same time as the program's own look-up
  of the source; in the bound, all three are at the same time. Only a plan achieves that.
- **The imports of Python itself** take nearly all of a warm start. The rest is the time to join the job and, with few nodes and a
  slow file system, the **libraries**: the bulk looks up one shared library after another.
- **The tree is no limit.** At 10,000 nodes it has 13 levels, and a start takes {grow_cold:.0f}% (cold) and {grow_warm:.0f}% (warm) longer than on
  one node. The size of the frames, their number and more children of a node change the time by some percent at most
  ([sensitivity](model.md)). Earlier, MPI_Ibcast sent the stream in pieces. MPICH chooses a scatter and a ring for 12 KiB or more on
  8 or more processes (for 512 KiB or more, if their number is a power of two): MPIR_Ibcast_intra_sched_auto; a tuned build may
  choose otherwise. A ring has p - 1 steps, each of which waits for a sleeping service thread: {cold_ring:.1f} and {warm_ring:.1f} times the bound
  at 10,000 nodes.
- **Sleeping service threads.** A service thread sleeps 20 us to 1 ms between two looks at MPI, and each level of the tree waits for
  one. With 5 ms instead of 1 ms, a warm start on 1,024 nodes would take {sleeps:.0f}% longer.
- **Requests at the root.** A rank sends a request when it has waited longer than its wait budget (2 to 20 ms cold, 100 ms during
  the bulk). One rank of a node asks, for what the root is looking up at that moment: {requests:,.0f} requests at 10,000 nodes in
  a cold start. They take {request_ms:.0f} ms of the root's time, which does not show in the startup.

By the model, the way down the tree needs no further work. On the way up, leaders could pass requests on to their parents and drop
requests for what is being looked up already. Then the root would receive two requests for a name instead of one from each node.
This helps only where all ranks ask for what the root never does (a program whose rank 0 imports something else): then 10,000 nodes
ask for each name at once, which takes 20 ms of the root's time for a name.
"""


def measured_tables(results):
    """The tables of operations, ratios and times from results.json, as Markdown."""
    lines = [x for x in summary.summarise(results["runs"]) if x["workload"] == "numpy-scipy"]
    operations, ratios, times = [], [], []
    for ranks, nodes in dict.fromkeys((x["ranks"], x["nodes"]) for x in lines if not x["readahead"]):
        at = {mode: summary.find(lines, mode=mode, ranks=ranks, nodes=nodes, readahead=0) for mode in MODES}
        shape = [ranks, nodes]
        operations.append([*shape, *(f"{at[m]['metadata_ops']:,.0f}" for m in COUNTED_MODES)])
        ratios.append([*shape, *(f"{at[m]['metadata_ratio']:.2f}" for m in COUNTED_MODES), f"{at['warm']['bytes_ratio']:.2f}"])
        times.append([*shape, *(f"{at[m]['startup_s'][0]:.2f}" for m in MODES)])
    warm = [x for x in lines if x["mode"] == "warm"]
    opens = (warm[-1]["metadata_ops"] - warm[0]["metadata_ops"]) / max(1, warm[-1]["nodes"] - warm[0]["nodes"])
    return {"opens": opens,
            "operations": markdown.table(["ranks", "nodes", *COUNTED_MODES], operations),
            "ratios": markdown.table(["ranks", "nodes", *COUNTED_MODES, "bytes"], ratios),
            "times": markdown.table(["ranks", "nodes", *MODES], times)}


def modelled_table(points, columns):
    """Startup in seconds against nodes. columns: {title: mode}."""
    at = {(p["nodes"], p["mode"]): p["seconds"] for p in points}
    rows = [[f"{nodes:,}", f"{64 * nodes:,}", *(f"{at[nodes, mode]:,.2f}" for mode in columns.values())]
            for nodes in dict.fromkeys(n for n, _ in at)]
    return markdown.table(["nodes", "ranks", *columns], rows)


def worst(points, mode, bound, most):
    """The largest ratio of a mode to its bound over all systems and up to so many nodes."""
    at = {(p["system"], p["nodes"], p["mode"]): p["seconds"] for p in points}
    return max(seconds / at[system, nodes, bound] for (system, nodes, m), seconds in at.items() if m == mode and nodes <= most)


def limits_table(points):
    """How far fastimport's protocol is from its bounds, and from the goals of the project."""
    cases = (("cold", "bound cold", "1.5"), ("warm", "bound warm", "1.2"), ("cold, Ibcast", "bound cold", "1.5"),
             ("warm, Ibcast", "bound warm", "1.2"))
    rows = [[f"{mode} / {bound}", goal, f"{worst(points, mode, bound, 256):.2f}", f"{worst(points, mode, bound, LARGEST):.2f}"]
            for mode, bound, goal in cases]
    return markdown.table(["ratio", "goal", "up to 256 nodes", "up to 10,000 nodes"], rows)


def growth(points, mode):
    """How much longer the largest job takes than one node, in percent."""
    at = {p["nodes"]: p["seconds"] for p in points if p["mode"] == mode}
    return 100 * (at[max(at)] / at[min(at)] - 1)


def sensitivity_percent(page, name, factor, column):
    """A percentage of the sensitivity table in model.md."""
    row = next(line for line in page.splitlines() if line.startswith(f"| {name} | x {factor} |"))
    return float(row.split("|")[column].strip(" %"))


def readme_page(results, points, model_page):
    """The page, from results.json, model.json and model.md."""
    mine = [p for p in points if p["system"] == SYSTEM]
    requests = max(p["requests"] for p in mine if p["mode"] == "cold")
    about = results["text"].split(";")
    command = results["command"].replace(" --output build/bench/startup", "")
    return PAGE.format(
        **measured_tables(results), command=f"`{command}` and `bench/model/run`", machine=f"{about[-3].strip()};{about[-2]}",
        system=SYSTEM, limits=limits_table(points),
        modelled=modelled_table(mine, {"without fastimport": "plain", "cold": "cold", "warm": "warm", "bound, cold": "bound cold",
                                       "bound, warm": "bound warm"}),
        ibcast=modelled_table(mine, {"cold": "cold, Ibcast", "warm": "warm, Ibcast"}),
        rtt=sensitivity_percent(model_page, "rtt", 2, 5), sleeps=sensitivity_percent(model_page, "poll_max", 5, 6),
        grow_cold=growth(mine, "cold"), grow_warm=growth(mine, "warm"), requests=requests, request_ms=1000 * requests * REQUEST_SECONDS,
        cold_ring=worst(mine, "cold, Ibcast", "bound cold", LARGEST), warm_ring=worst(mine, "warm, Ibcast", "bound warm", LARGEST))


def main():
    results, points = (json.loads(pathlib.Path(path).read_text()) for path in sys.argv[1:3])
    model_page = pathlib.Path(sys.argv[2]).with_name("model.md").read_text()
    print(markdown.wrapped(readme_page(results, points, model_page)), end="")


if __name__ == "__main__":
    main()
