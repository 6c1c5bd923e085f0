# SPDX-License-Identifier: BSD-3-Clause
"""Medians, ranges and ratios from the rows of runs (record.py), and the page of results.

A row is a dict with the keys record.COLUMNS. A line of the summary is a dict about one case: the key of the case, and

    startup_s                   (median, least, most) of the startup in seconds, less that of a bare MPI start
    mpi_s                       what was taken off
    to_main_s, cpu_s, wall_s    medians in seconds
    import_s                    medians of the least, the median and the most of the ranks' import times, in seconds
    metadata_ops, read_bytes    medians of the counts at the server; None where nothing counts
    metadata_ratio, bytes_ratio (the whole job less exec) / (one plain rank less exec); None without a base
    plan_missed                 median of the entries of the plan that were looked up again

`exec` is the case that ends before a preloaded library runs.
"""

import statistics

import markdown
from markdown import number

from cases import ALL_MODES
from rivals import RIVALS

WITHOUT_MPI = {"pass", "storm"}  # workloads


def key_of(row):
    """The case of a row."""
    return row["workload"], row["mode"], row["ranks"], row["nodes"], row["readahead"]


def groups(rows):
    """The rows of the runs that did not fail, {case: rows}."""
    found = {}
    for row in rows:
        if not row["error"]:
            found.setdefault(key_of(row), []).append(row)
    return found


def middle(rows, column):
    """(median, least, most) of a column; None if it is empty."""
    values = [row[column] for row in rows or () if row[column] is not None]
    return (statistics.median(values), min(values), max(values)) if values else None


def median(rows, column):
    """The median of a column; None if it is empty."""
    found = middle(rows, column)
    return found[0] if found else None


def starts_mpi(workload, mode):
    """True if ranks of this case start MPI: the workload does, or fastimport."""
    return mode in ("cold", "warm") or workload not in WITHOUT_MPI


def ratio(by_case, row_key, column):
    """The ratio of a column to that of one plain rank, both less exec; None where a part is missing."""
    workload, _, ranks, nodes, readahead = row_key
    parts = [median(by_case.get(k), column) for k in
             (row_key, (workload, "exec", ranks, nodes, readahead), (workload, "plain", 1, 1, readahead),
              (workload, "exec", 1, 1, readahead))]
    if None in parts or parts[2] <= parts[3]:
        return None
    return (parts[0] - parts[1]) / (parts[2] - parts[3])


def summarise(rows):
    """The lines of the summary, one for each timed or counted case, in the order of the rows."""
    by_case, lines = groups(rows), []
    for case, runs in by_case.items():
        workload, mode, ranks, nodes, readahead = case
        if mode not in ALL_MODES:
            continue
        startup = None if readahead else middle(runs, "startup_s")
        bare = median(by_case.get(("-", "bare", ranks, nodes, 0)), "startup_s") or 0
        less = bare if starts_mpi(workload, mode) else 0
        lines.append({
            "workload": workload, "mode": mode, "ranks": ranks, "nodes": nodes, "readahead": readahead, "runs": len(runs),
            "startup_s": startup and tuple(value - less for value in startup), "mpi_s": less,
            "to_main_s": median(runs, "to_main_s"),
            "import_s": tuple(median(runs, f"import_{w}_s") for w in ("min", "median", "max")),
            "cpu_s": median(runs, "cpu_s"), "wall_s": median(runs, "wall_s"), "metadata_ops": median(runs, "metadata_ops"),
            "read_bytes": median(runs, "read_bytes"), "prepare_s": median(runs, "prepare_s"), "node_bytes": median(runs, "node_bytes"),
            "plan_missed": median(runs, "plan_missed"),
            "metadata_ratio": ratio(by_case, case, "metadata_ops"), "bytes_ratio": ratio(by_case, case, "read_bytes")})
    return lines


def find(lines, **wanted):
    """The first line with these values; None if there is none."""
    return next((line for line in lines if all(line[k] == v for k, v in wanted.items())), None)


def over_staged(lines, line):
    """The startup of the line / that of the staged copy with the same ranks and nodes; None without one."""
    staged = find(lines, workload=line["workload"], mode="staged", ranks=line["ranks"], nodes=line["nodes"], readahead=0)
    if not staged or not line["startup_s"] or not staged["startup_s"] or staged["startup_s"][0] <= 0:
        return None
    return line["startup_s"][0] / staged["startup_s"][0]


def median_and_range(spread):
    return "-" if not spread else f"{spread[0]:.2f} ({spread[1]:.2f}-{spread[2]:.2f})"


def shape(line):
    """The first two cells of each table."""
    return [f"{line['ranks']} on {line['nodes']}", line["mode"]]


def megabytes(line):
    return number(line["read_bytes"] and line["read_bytes"] / 1e6, "{:.1f}")


def ratios(line):
    return [number(line["metadata_ratio"], "{:.3f}"), number(line["bytes_ratio"], "{:.3f}")]


def timing_table(lines):
    header = ["ranks on nodes", "", "startup (range)", "/ staged", "to main", "import: min / med / max", "CPU"]
    return markdown.table(header, [
        [*shape(line), median_and_range(line["startup_s"]), number(over_staged(lines, line)), number(line["to_main_s"]),
         " / ".join(number(v) for v in line["import_s"]), number(line["cpu_s"])] for line in lines])


def counting_table(lines):
    header = ["ranks on nodes", "", "metadata ops", "MB read", "metadata ratio", "bytes ratio", "node cache, MB"]
    return markdown.table(header, [
        [*shape(line), number(line["metadata_ops"], "{:,.0f}"), megabytes(line), *ratios(line),
         number(line["node_bytes"] and line["node_bytes"] / 1e6, "{:.1f}")]
        for line in lines if line["metadata_ops"] is not None])


def readahead_table(lines):
    header = ["ranks on nodes", "", "read-ahead KiB", "MB read", "metadata ratio", "bytes ratio"]
    return markdown.table(header, [[*shape(line), line["readahead"], megabytes(line), *ratios(line)] for line in lines])


def rivals_table(lines, packed):
    """All modes of the largest job that has rivals, side by side. packed: {rival: seconds}."""
    most = max((x["ranks"], x["nodes"]) for x in lines if x["mode"] in RIVALS)
    header = ["", "pack s", "prepare s", "start s", "both s", "ops", "MB read", "MB a node", "after an edit"]
    rows = [[x["mode"], number(packed.get(x["mode"]), "{:.1f}"), number(x["prepare_s"]), number(x["startup_s"] and x["startup_s"][0]),
             number(x["startup_s"] and x["startup_s"][0] + (x["prepare_s"] or 0)), number(x["metadata_ops"], "{:,.0f}"), megabytes(x),
             number(x["node_bytes"] and x["node_bytes"] / 1e6, "{:.0f}"),
             RIVALS[x["mode"]].redo if x["mode"] in RIVALS else "copy" if x["mode"] == "staged" else "nothing"]
            for x in lines if (x["ranks"], x["nodes"]) == most]
    return f"{most[0]} ranks on {most[1]} nodes, beside what else users do (MB a node: of its memory):", markdown.table(header, rows)


def workload_section(workload, program, lines, packed):
    """The tables of one workload, a list of blocks."""
    timed = sorted((x for x in lines if not x["readahead"]), key=lambda x: (x["ranks"], x["nodes"]))
    blocks = [f"## {workload}", f"`{program}`",
              "Seconds. Startup and its parts are medians over the repetitions; CPU is the processor time of all ranks until the end "
              "of the imports.", timing_table(timed)]
    if any(x["metadata_ops"] is not None for x in timed):
        blocks += ["At the server of the file system:", counting_table(timed)]
    if any(x["mode"] in RIVALS for x in timed):
        blocks += rivals_table(timed, packed)
    if len(timed) < len(lines):
        blocks += ["Bytes depend on how far the client reads ahead:", readahead_table(x for x in lines if x["readahead"])]
    return blocks


def case_of(row):
    """The case of a row, in words."""
    return f"{row['workload']}, {row['mode']}, {row['ranks']} ranks on {row['nodes']} nodes"


def messages(rows):
    """The sections with what failed and what fastimport warned of, a list of blocks. Messages stay as they are."""
    blocks = []
    for title, column in (("Failed", "error"), ("Warnings of fastimport", "warning")):
        said = dict.fromkeys(f"- {case_of(row)}: {row[column]}" for row in rows if row[column])
        if said:
            blocks += [f"## {title}", "\n".join(said)]
    return blocks


def results_page(about, rows):
    """The page of results. about: "text", and "programs", {workload: command} (bench/startup/run)."""
    lines, blocks = summarise(rows), ["# Startup", about["text"]]
    for workload in dict.fromkeys(line["workload"] for line in lines):
        blocks += workload_section(workload, about["programs"].get(workload, ""), [x for x in lines if x["workload"] == workload],
                                   about.get("packed") or {})
    return markdown.wrapped("\n\n".join(blocks)) + "".join(f"\n{block}\n" for block in messages(rows))
