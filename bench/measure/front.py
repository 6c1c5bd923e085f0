#!/usr/bin/python3
"""front.py RESULTS.json MODEL.json: the short tables for the project's README, as Markdown on standard output."""

import json
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import summary  # noqa: E402

MODES = ("plain", "cold", "warm")


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
    modes = ("plain", "cold", "warm", "cold, tree", "warm, tree", "bound cold", "bound warm")
    at = {(p["nodes"], p["mode"]): p["seconds"] for p in points if p["system"] == system}
    rows = [[f"{nodes:,}", f"{64 * nodes:,}", *(f"{at[nodes, m]:,.2f}" for m in modes)] for nodes in dict.fromkeys(n for n, _ in at)]
    return summary.table(["nodes", "ranks", "without fastimport", "cold", "warm", "cold, own tree", "warm, own tree", "bound, cold", "bound, warm"], rows)


def worst(points, mode, bound, most):
    """The largest ratio to the bound over all systems up to so many nodes."""
    at = {(p["system"], p["nodes"], p["mode"]): p["seconds"] for p in points}
    return max(seconds / at[system, nodes, bound] for (system, nodes, m), seconds in at.items() if m == mode and nodes <= most)


def limits(points):
    """What the model says of fastimport's own protocol."""
    text = "| | up to 256 nodes | up to 10,000 nodes | goal |\n| --- | ---: | ---: | ---: |\n"
    for mode, bound, goal in (("cold", "bound cold", "1.5"), ("warm", "bound warm", "1.2"), ("cold, tree", "bound cold", "1.5"),
                              ("warm, tree", "bound warm", "1.2")):
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

`bench/model`; 64 ranks a node, seconds of startup, here for the parameters called `{system}` ([all systems, parameters, sensitivity](model.md);
[beside measurements](validation.md)):

{modelled}
![startup against nodes](model.svg)

{limits}
What limits fastimport, in the model:

- **The broadcast that MPI picks.** MPICH's own choice for MPI_Ibcast (MPIR_Ibcast_intra_sched_auto; a tuned build may choose otherwise) is a scatter and a ring for
  messages of 12 KiB or more on 8 or more processes (512 KiB, for powers of two): p - 1 steps, each of which waits for a nap of a service in between. From about 1,000 nodes on this is nearly the whole startup. A tree of
  fastimport's own, with pieces of the same size in a pipeline ("own tree"), brings {cold} and {warm} instead of {cold_ring} and {warm_ring} times the bound at 10,000 nodes.
  Smaller pieces (which stay below the ring's threshold) or more broadcasts in flight help until then.
- **Naps.** A service naps 20 us to 1 ms between looks at MPI. With the ring each step pays it; with a tree only its depth does.
- **Requests at the root.** A rank asks when it has waited longer than its patience (2 to 20 ms cold, 100 ms during the bulk). While broadcasts keep pace hardly any does.
  When they do not, every node asks, again and again: {requests:,.0f} requests at 10,000 nodes, cold, for answers that are on their way already.
- **Libraries one at a time.** The plan's bulk looks up one shared library after another, so its length is their round trips: with few nodes and a slow file
  system it sets the warm start.
"""


def main():
    results, points = (json.loads(pathlib.Path(path).read_text()) for path in sys.argv[1:3])
    system = "lustre"
    ratio = {m: worst([p for p in points if p["system"] == system], m, f"bound {m.split(',')[0]}", 10000) for m in ("cold", "warm", "cold, tree", "warm, tree")}
    requests = max(p["requests"] for p in points if p["mode"] == "cold" and p["system"] == system)
    about = results["text"].split(";")
    print(PAGE.format(command=f"`{results['command'].replace(' --output build/bench/startup', '')}` and `bench/model`", load=f"{about[-3].strip()},{about[-2]}",
                      measured=measured(results), modelled=modelled(points, system), system=system, limits=limits(points), requests=requests,
                      cold=f"{ratio['cold, tree']:.2f}", warm=f"{ratio['warm, tree']:.2f}", cold_ring=f"{ratio['cold']:.1f}", warm_ring=f"{ratio['warm']:.1f}"), end="")


main()
