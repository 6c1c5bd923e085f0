"""A tree by package of what a start costs: operations, misses, bytes, time in the file system and in Python."""

import re
import sys

STDLIB, INTERPRETER = "(standard library)", "(interpreter)"
LIBRARY = re.compile(r"/lib(?:64)?/python3\.\d+(?:/(.*))?$")
SUFFIX = re.compile(r"(\.cpython-[^.]*|\.abi3)?(\.opt-\d)?\.(py|pyc|so)$")


class Node:
    """A package, module or file. Figures are its own; total() adds those below."""

    FIGURES = ("ops", "misses", "bytes", "fs", "python")

    def __init__(self, name):
        self.name, self.children = name, {}
        self.own = dict.fromkeys(self.FIGURES, 0)

    def at(self, names):
        node = self
        for name in names:
            node = node.children.setdefault(name, Node(name))
        return node

    def total(self, figure):
        return self.own[figure] + sum(child.total(figure) for child in self.children.values())

    def seconds(self):
        return self.total("fs") + self.total("python")

    def worst(self):
        return sorted(self.children.values(), key=lambda child: -child.seconds())


def module_parts(parts):
    """Path components below a directory of modules as the names of an import: numpy/__pycache__/x.cpython-311.pyc is numpy, x."""
    parts = [part for part in parts if part != "__pycache__"]
    if parts:
        parts = [*parts[:-1], SUFFIX.sub("", parts[-1])]
    return parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts


def of_package(parts):
    """numpy.libs and numpy-2.4.1.dist-info belong to numpy."""
    first = parts[0]
    for mark in (".libs", ".dist-info", ".egg-info"):
        if first.endswith(mark):
            name = first.removesuffix(mark)
            return [name.split("-")[0].lower(), mark[1:], *parts[1:]]
    return parts


def names_of(path):
    """Where in the tree a path belongs. A name that only looks like a standard module's place is a search for another."""
    match = LIBRARY.search(path)
    below = (match[1] or "") if match else ""
    if not below or below in ("site-packages", "dist-packages", "lib-dynload"):
        return [INTERPRETER, path.rsplit("/", 1)[-1] or "/"]
    parts = below.split("/")
    if parts[0] in ("site-packages", "dist-packages"):
        return of_package(module_parts(parts[1:]))
    parts = module_parts(parts[1:] if parts[0] == "lib-dynload" else parts)
    return [STDLIB, *parts] if not parts or parts[0] in sys.stdlib_module_names else of_package(parts)


def names_of_module(name):
    parts = name.split(".")
    return [STDLIB, *parts] if parts[0] in sys.stdlib_module_names else parts


def build(events, imports):
    """The tree of events (events.py) and of import times (module: seconds)."""
    root = Node("start")
    for event in events:
        own = root.at(names_of(event.path)).own
        own["ops"] += 1
        own["misses"] += event.missing
        own["bytes"] += event.bytes
        own["fs"] += event.seconds
    for name, seconds in imports.items():
        root.at(names_of_module(name)).own["python"] += seconds
    return root


def row(node, depth, other):
    """A line of the text tree: the figures without fastimport, then those with it."""
    label = "  " * depth + node.name
    cells = [f"{node.total('ops'):7,}", f"{node.total('misses'):7,}", f"{node.total('bytes') / 1e6:8.2f}",
             f"{node.total('fs') * 1e3:9.1f}", f"{node.total('python') * 1e3:9.1f}"]
    if other is not None:
        cells += [f"{other.total('ops'):7,}", f"{other.total('bytes') / 1e6:8.2f}", f"{other.total('fs') * 1e3:9.1f}"]
    return f"{label:<38.38}" + " ".join(cells)


def text(root, other, depth=3, least=0.01):
    """The tree, worst first; branches below `least` of the whole are left out. other: the tree with fastimport, or None."""
    header = f"{'':38}" + f"{'ops':>7} {'misses':>7} {'MB':>8} {'fs ms':>9} {'Python ms':>9}"
    lines = [header + (f" {'ops':>7} {'MB':>8} {'fs ms':>9}   (the last three: with fastimport)" if other else "")]
    bound = root.seconds() * least

    def show(node, twin, level):
        lines.append(row(node, level, twin))
        if level < depth:
            for child in node.worst():
                if child.seconds() >= bound:
                    show(child, twin and twin.children.get(child.name, Node(child.name)), level + 1)

    show(root, other, 0)
    return "\n".join(lines) + "\n"


def plain(node):
    """For JSON: name, own figures, children."""
    return {"name": node.name, **{k: round(v, 6) for k, v in node.own.items()}, "children": [plain(c) for c in node.worst()]}
