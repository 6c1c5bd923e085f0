"""A recorded start: what one rank does, step after step. A step is [share, kind, bytes, library].

share    of the processor time of the whole start that passes before the step (they sum to 1)
kind     m: metadata that a client caches; o: metadata that it asks for each time (open, opendir); d: data
library  1: a shared library's; fastimport's bulk reads these one after another
"""

import json
import pathlib

ALWAYS = {"open", "opendir"}


def steps(events):
    """Steps from the events (tracing/events.py) of a run on a file system that costs nothing."""
    events = list(events)
    gaps = [max(0, b.at - a.at) for a, b in zip(events, events[1:])] + [0]
    whole = sum(gaps) or 1
    before = [0, *gaps[:-1]]
    return [[round(gap / whole, 7), "d" if e.op in ("read", "write") else "o" if e.op in ALWAYS else "m", e.bytes,
             int(".so" in e.path)] for gap, e in zip(before, events)]


def save(path, trace):
    pathlib.Path(path).write_text(json.dumps(trace, separators=(",", ":")) + "\n")


def load(path):
    trace = json.loads(pathlib.Path(path).read_text())
    for name in ("plain", "root"):
        if not all(len(step) == 4 for step in trace[name]):
            raise ValueError(f"{path}: a step of '{name}' has not four fields")
    return trace


def totals(sequence):
    """Metadata operations and bytes."""
    return sum(kind != "d" for _, kind, _, _ in sequence), sum(size for _, kind, size, _ in sequence if kind == "d")
