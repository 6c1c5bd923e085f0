"""Medians, spreads and ratios from the rows of runs (record.py), and the Markdown tables.

The ratios are design.md's: metadata operations (bytes) at the server from the whole job, less what exec alone costs,
over the same of one plain rank. Net startup is startup less what a bare MPI start of the same shape took, where
the ranks start MPI at all.
"""

import statistics

WITHOUT_MPI = {"pass", "storm"}
TIMED = ("plain", "cold", "warm", "staged")


def key_of(row):
    return row["workload"], row["mode"], row["ranks"], row["nodes"], row["readahead"]


def groups(rows):
    """Rows that came to an end, by case."""
    found = {}
    for row in rows:
        if not row["error"]:
            found.setdefault(key_of(row), []).append(row)
    return found


def middle(rows, column):
    """Median, least and most of a column; None if it is empty."""
    values = [row[column] for row in rows or () if row[column] is not None]
    return (statistics.median(values), min(values), max(values)) if values else None


def median(rows, column):
    found = middle(rows, column)
    return found[0] if found else None


def starts_mpi(workload, mode):
    return mode in ("cold", "warm") or workload not in WITHOUT_MPI


def ratio(by_case, row_key, column):
    """The column's ratio to one plain rank, both less exec; None where a part of it is missing."""
    workload, _, ranks, nodes, readahead = row_key
    parts = [median(by_case.get(k), column) for k in
             (row_key, (workload, "exec", ranks, nodes, readahead), (workload, "plain", 1, 1, readahead),
              (workload, "exec", 1, 1, readahead))]
    if None in parts or parts[2] <= parts[3]:
        return None
    return (parts[0] - parts[1]) / (parts[2] - parts[3])


def summarise(rows):
    """One dict a case that was measured, in the order of the rows."""
    by_case, lines = groups(rows), []
    for case, runs in by_case.items():
        workload, mode, ranks, nodes, readahead = case
        if mode not in TIMED:
            continue
        startup = None if readahead else middle(runs, "startup_s")
        bare = median(by_case.get(("-", "bare", ranks, nodes, 0)), "startup_s") or 0
        less = bare if starts_mpi(workload, mode) else 0
        lines.append({
            "workload": workload, "mode": mode, "ranks": ranks, "nodes": nodes, "readahead": readahead, "runs": len(runs),
            "startup_s": startup and tuple(value - less for value in startup), "mpi_s": less,
            "to_main_s": median(runs, "to_main_s"), "import_s": tuple(median(runs, f"import_{w}_s") for w in
                                                                      ("min", "median", "max")),
            "cpu_s": median(runs, "cpu_s"), "wall_s": median(runs, "wall_s"), "metadata_ops": median(runs, "metadata_ops"),
            "read_bytes": median(runs, "read_bytes"), "plan_missed": median(runs, "plan_missed"),
            "metadata_ratio": ratio(by_case, case, "metadata_ops"), "bytes_ratio": ratio(by_case, case, "read_bytes")})
    return lines


def find(lines, **wanted):
    return next((line for line in lines if all(line[k] == v for k, v in wanted.items())), None)


def over_staged(lines, line):
    """Net startup over that of the staged copy, same ranks; None if there is none."""
    staged = find(lines, workload=line["workload"], mode="staged", ranks=line["ranks"], nodes=line["nodes"], readahead=0)
    if not staged or not line["startup_s"] or not staged["startup_s"] or staged["startup_s"][0] <= 0:
        return None
    return line["startup_s"][0] / staged["startup_s"][0]


def number(value, form="{:.2f}"):
    return "-" if value is None else form.format(value)


def seconds(spread):
    return "-" if not spread else f"{spread[0]:.2f} ({spread[1]:.2f}-{spread[2]:.2f})"


def table(header, rows):
    """A Markdown table; the first two columns are text."""
    rule = ["---"] * 2 + ["---:"] * (len(header) - 2)
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [header, rule, *rows]) + "\n"


def timing_table(lines):
    header = ["ranks on nodes", "", "startup s, median (range)", "/ staged", "to main s", "import s per rank, min / med / max",
              "CPU s", "metadata ops", "MB read", "metadata ratio", "bytes ratio"]
    rows = []
    for line in lines:
        rows.append([f"{line['ranks']} on {line['nodes']}", line["mode"], seconds(line["startup_s"]),
                     number(over_staged(lines, line)), number(line["to_main_s"]),
                     " / ".join(number(v) for v in line["import_s"]), number(line["cpu_s"]),
                     number(line["metadata_ops"], "{:,.0f}"), number(line["read_bytes"] and line["read_bytes"] / 1e6, "{:.1f}"),
                     number(line["metadata_ratio"], "{:.3f}"), number(line["bytes_ratio"], "{:.3f}")])
    return table(header, rows)


def counting_table(lines):
    rows = [[f"{line['ranks']} on {line['nodes']}", line["mode"], line["readahead"], number(line["metadata_ratio"], "{:.3f}"),
             number(line["bytes_ratio"], "{:.3f}"), number(line["read_bytes"] and line["read_bytes"] / 1e6, "{:.1f}")]
            for line in lines]
    return table(["ranks on nodes", "", "read-ahead KiB", "metadata ratio", "bytes ratio", "MB read"], rows)


def case_of(row):
    return f"{row['workload']}, {row['mode']}, {row['ranks']} ranks on {row['nodes']} nodes"


def markdown(about, rows):
    """The page of results."""
    lines, parts = summarise(rows), ["# Startup\n", about["text"], ""]
    for workload in dict.fromkeys(line["workload"] for line in lines):
        mine = [line for line in lines if line["workload"] == workload]
        parts += [f"## {workload}\n", f"`{about['programs'].get(workload, '')}`\n",
                  timing_table(sorted((x for x in mine if not x["readahead"]), key=lambda x: (x["ranks"], x["nodes"])))]
        counted = [line for line in mine if line["readahead"]]
        if counted:
            parts += ["Bytes depend on how far the client reads ahead:\n", counting_table(counted)]
    for title, column in (("Failed", "error"), ("Not as it should be", "warning")):
        said = dict.fromkeys(f"- {case_of(row)}: {row[column]}" for row in rows if row[column])
        if said:
            parts += [f"## {title}\n", *said, ""]
    return "\n".join(parts).rstrip() + "\n"
