#!/usr/bin/python3
"""front.py RESULTS.json MODEL.json: the short tables for the project's README, as Markdown on standard output."""

import json
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import summary  # noqa: E402

MODES = ("plain", "cold", "warm")
REQUEST = 2e-6  # systems.py


def measured(results):
    lines = [x for x in summary.summarise(results["runs"]) if x["workload"] == "numpy-scipy"]
    rows = []
    for ranks, nodes in dict.fromkeys((x["ranks"], x["nodes"]) for x in lines if not x["readahead"]):
        at = {mode: summary.find(lines, mode=mode, ranks=ranks, nodes=nodes, readahead=0) for mode in (*MODES, "staged")}
        whole = summary.find(lines, mode="warm", ranks=ranks, nodes=nodes, readahead=16384)
        rows.append([f"{ranks} on {nodes}", "", *(f"{at[m]['metadata_ops']:,.0f}" for m in MODES), *(f"{at[m]['metadata_ratio']:.2f}" for m in MODES),
                     f"{at['warm']['bytes_ratio']:.2f}", summary.number(whole and whole["bytes_ratio"]),
                     *(f"{at[m]['startup_s'][0]:.2f}" for m in (*MODES, "staged"))])
    return summary.table(["ranks on nodes", "", *(f"operations, {m}" for m in MODES), *(f"metadata ratio, {m}" for m in MODES),
                          "bytes ratio, warm, read-ahead 1 MiB", "16 MiB", *(f"startup s, {m}" for m in (*MODES, "staged"))], rows)


def modelled(points, system):
    modes = ("plain", "cold", "warm", "bound cold", "bound warm", "cold, Ibcast", "warm, Ibcast")
    at = {(p["nodes"], p["mode"]): p["seconds"] for p in points if p["system"] == system}
    rows = [[f"{nodes:,}", f"{64 * nodes:,}", *(f"{at[nodes, m]:,.2f}" for m in modes)] for nodes in dict.fromkeys(n for n, _ in at)]
    return summary.table(["nodes", "ranks", "without fastimport", "cold", "warm", "bound, cold", "bound, warm", "cold, by MPI_Ibcast", "warm, by MPI_Ibcast"], rows)


def worst(points, mode, bound, most):
    """The largest ratio to the bound over all systems up to so many nodes."""
    at = {(p["system"], p["nodes"], p["mode"]): p["seconds"] for p in points}
    return max(seconds / at[system, nodes, bound] for (system, nodes, m), seconds in at.items() if m == mode and nodes <= most)


def limits(points):
    """What the model says of fastimport's own protocol."""
    text = "| | up to 256 nodes | up to 10,000 nodes | goal |\n| --- | ---: | ---: | ---: |\n"
    for mode, bound, goal in (("cold", "bound cold", "1.5"), ("warm", "bound warm", "1.2"), ("cold, Ibcast", "bound cold", "1.5"),
                              ("warm, Ibcast", "bound warm", "1.2")):
        text += f"| {mode} / {bound}, worst of the three systems | {worst(points, mode, bound, 256):.2f} | {worst(points, mode, bound, 10000):.2f} | {goal} |\n"
    return text


PAGE = """# Startup in numbers

{command}

Emulated shared file system, 2 cores for everything; {load} ([method](../README.md), [all columns](startup.md)):

{measured}
![startup time and operations against ranks](startup-numpy-scipy.svg)

- Without fastimport the file system's work grows with the nodes and ranks; with it, it stays that of one rank.
- Bytes: fastimport reads what ld.so maps of each library, whole; a plain rank only the pages it touches and what the client
  reads ahead. The bytes ratio is above 1 with a small read-ahead and below 1 where clients read files whole. It does not grow
  with the job but for the interpreter's own executable, once a node.
- Time: on these 2 cores 16 ranks wait for processors, not for the file system ("staged", from local memory, grows as well), and fastimport's
  services take their share of them. Time at scale is the model's matter.

## At scale: the model

`bench/model/run`; 64 ranks a node, seconds of startup, here for the parameters called `{system}` ([all systems, parameters, sensitivity](model.md);
[beside measurements](validation.md)):

{modelled}
![startup against nodes](model.svg)

{limits}
What limits fastimport, in the model:

- **The root's own look-ups** are nearly all of a cold start: one after another, as Python asks for them, a round trip each. Twice the round trip makes it {rtt:.0f}% longer. A module's bytecode
  takes three in a row (look up, open, read), of which fastimport's helpers put one beside the program's own look-up of the source; the bound has them all beside it. Only a plan does that.
- **Python's own imports** are nearly all of a warm start. What comes on top is to join the job and, with few nodes and a slow file system, **libraries one at a time**: the bulk
  looks up one shared library after another.
- **The tree is no limit**: at 10,000 nodes it is 13 levels deep, and a start takes {grow_cold:.0f}% (cold) and {grow_warm:.0f}% (warm) longer than on one node. Neither the frames' size, nor their number, nor
  more children a node change it by more than some percent ([sensitivity](model.md)). Before, MPI_Ibcast sent the pieces: MPICH's own choice (MPIR_Ibcast_intra_sched_auto; a tuned build
  may choose otherwise) is a scatter and a ring for 12 KiB or more on 8 or more processes (512 KiB, for powers of two), p - 1 steps, each of which waits for a nap of a service:
  {cold_ring:.1f} and {warm_ring:.1f} times the bound at 10,000 nodes.
- **Naps.** A service naps 20 us to 1 ms between looks at MPI, and each level of the tree waits for one. 5 ms instead of 1 ms would make a warm start on 1,024 nodes {naps:.0f}% longer.
- **Requests at the root.** A rank asks when it has waited longer than its patience (2 to 20 ms cold, 100 ms during the bulk), one rank a node, for what the root is
  looking up in that moment: {requests:,.0f} requests at 10,000 nodes in a cold start. That is {request_ms:.0f} ms of the root's time, and does not show.

What the model says should be built next: nothing in the way down. On the way up, leaders could pass requests on to their parent and drop those for what is under way already; the root would see
two requests for a name instead of one a node. It pays only where all ranks ask for what the root never does (a program whose rank 0 imports something else): then 10,000 nodes ask for
each name at once, 20 ms of the root's time a name.
"""


def growth(points, mode):
    """Percent that the largest job takes longer than one node."""
    at = {p["nodes"]: p["seconds"] for p in points if p["mode"] == mode}
    return 100 * (at[max(at)] / at[min(at)] - 1)


def sensitivity(page, name, factor, column):
    """A percentage of the sensitivity table in model.md."""
    row = next(line for line in page.splitlines() if line.startswith(f"| {name} | x {factor} |"))
    return float(row.split("|")[column].strip(" %"))


def main():
    results, points = (json.loads(pathlib.Path(path).read_text()) for path in sys.argv[1:3])
    page = pathlib.Path(sys.argv[2]).with_name("model.md").read_text()
    system = "lustre"
    mine = [p for p in points if p["system"] == system]
    ratio = {m: worst(mine, m, f"bound {m.split(',')[0]}", 10000) for m in ("cold, Ibcast", "warm, Ibcast")}
    requests = max(p["requests"] for p in mine if p["mode"] == "cold")
    about = results["text"].split(";")
    print(PAGE.format(command=f"`{results['command'].replace(' --output build/bench/startup', '')}` and `bench/model`", load=f"{about[-3].strip()},{about[-2]}",
                      measured=measured(results), modelled=modelled(points, system), system=system, limits=limits(points), requests=requests,
                      request_ms=1000 * requests * REQUEST, rtt=sensitivity(page, "rtt", 2, 5), naps=sensitivity(page, "poll_max", 5, 6),
                      grow_cold=growth(mine, "cold"), grow_warm=growth(mine, "warm"), cold_ring=ratio["cold, Ibcast"], warm_ring=ratio["warm, Ibcast"]), end="")


main()
