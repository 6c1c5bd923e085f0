# SPDX-License-Identifier: BSD-3-Clause
"""A tree by package of what a start costs: operations, misses, bytes, time in the file system and in Python."""

import re
import sys

STDLIB, INTERPRETER = "(standard library)", "(interpreter)"
PYTHON_LIBRARY = re.compile(r"/lib(?:64)?/python3\.\d+(?:/(.*))?$")
SUFFIX = re.compile(r"(\.cpython-[^.]*|\.abi3)?(\.opt-\d)?\.(py|pyc|so)$")


class Node:
    """A package, module or file. `own` holds its own figures; total() adds those of the nodes below.

    ops, misses, bytes    operations, those that found nothing, bytes of data
    fs, python            seconds in the file system and in Python
    """

    FIGURES = ("ops", "misses", "bytes", "fs", "python")

    def __init__(self, name):
        self.name, self.children = name, {}
        self.own = dict.fromkeys(self.FIGURES, 0)

    def at(self, names):
        """The node at this list of names below this one; it is made if it does not exist."""
        node = self
        for name in names:
            node = node.children.setdefault(name, Node(name))
        return node

    def total(self, figure):
        return self.own[figure] + sum(child.total(figure) for child in self.children.values())

    def seconds(self):
        return self.total("fs") + self.total("python")

    def worst(self):
        """The children, the one that takes the most time first."""
        return sorted(self.children.values(), key=lambda child: -child.seconds())


def module_parts(parts):
    """The names of an import for path components below a directory of modules: numpy/__pycache__/x.cpython-311.pyc is numpy, x."""
    parts = [part for part in parts if part != "__pycache__"]
    if parts:
        parts = [*parts[:-1], SUFFIX.sub("", parts[-1])]
    return parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts


def of_package(parts):
    """The names with companion folders under their package: numpy.libs and numpy-2.4.1.dist-info belong to numpy."""
    first = parts[0]
    for mark in (".libs", ".dist-info", ".egg-info"):
        if first.endswith(mark):
            name = first.removesuffix(mark)
            return [name.split("-")[0].lower(), mark[1:], *parts[1:]]
    return parts


def names_of(path):
    """The names in the tree of a path.

    A name in the standard library's folder that is no standard module is a search for another package; it counts there.
    """
    match = PYTHON_LIBRARY.search(path)
    below = (match[1] or "") if match else ""
    if not below or below in ("site-packages", "dist-packages", "lib-dynload"):
        return [INTERPRETER, path.rsplit("/", 1)[-1] or "/"]
    parts = below.split("/")
    if parts[0] in ("site-packages", "dist-packages"):
        return of_package(module_parts(parts[1:]))
    parts = module_parts(parts[1:] if parts[0] == "lib-dynload" else parts)
    return [STDLIB, *parts] if not parts or parts[0] in sys.stdlib_module_names else of_package(parts)


def names_of_module(name):
    """The names in the tree of a module."""
    parts = name.split(".")
    return [STDLIB, *parts] if parts[0] in sys.stdlib_module_names else parts


def build(events, imports):
    """The root of the tree of these events (events.Event) and import times ({module: seconds})."""
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


def tree_row(node, depth, other):
    """A line of the text tree: the figures without fastimport, then those with it (`other`, or None)."""
    label = "  " * depth + node.name
    cells = [f"{node.total('ops'):7,}", f"{node.total('misses'):7,}", f"{node.total('bytes') / 1e6:8.2f}",
             f"{node.total('fs') * 1e3:9.1f}", f"{node.total('python') * 1e3:9.1f}"]
    if other is not None:
        cells += [f"{other.total('ops'):7,}", f"{other.total('bytes') / 1e6:8.2f}", f"{other.total('fs') * 1e3:9.1f}"]
    return f"{label:<38.38}" + " ".join(cells)


def text(root, other, depth=3, least=0.01):
    """The tree as text, the slowest package first.

    other    the tree with fastimport, or None
    depth    levels that are shown
    least    a branch that takes less than this part of the whole is left out
    """
    header = f"{'':38}" + f"{'ops':>7} {'misses':>7} {'MB':>8} {'fs ms':>9} {'Python ms':>9}"
    lines = [header + (f" {'ops':>7} {'MB':>8} {'fs ms':>9}   (the last three: with fastimport)" if other else "")]
    bound = root.seconds() * least

    def show(node, same, level):
        lines.append(tree_row(node, level, same))
        if level < depth:
            for child in node.worst():
                if child.seconds() >= bound:
                    show(child, same and same.children.get(child.name, Node(child.name)), level + 1)

    show(root, other, 0)
    return "\n".join(lines) + "\n"


def as_dict(node):
    """The tree for JSON: name, own figures, children."""
    return {"name": node.name, **{k: round(v, 6) for k, v in node.own.items()}, "children": [as_dict(c) for c in node.worst()]}
