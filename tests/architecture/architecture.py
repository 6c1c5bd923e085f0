#!/usr/bin/python3
"""The architecture: which component may use which, who may name libc's file functions, what the library exports and
needs, how long functions and files may be, and what may not stand in the tree.

    architecture.py BUILD    prints one line a violation, closes with "N passed, N failed"
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build")
LIBRARY = BUILD / "libfastimport.so"

LONGEST_FUNCTION = 100
LONGEST_FILE = 500

# A component of preload/ (a folder) and those that it may use, besides itself, bottom first. The loose files of the top are
# components of their own.
COMPONENTS = {
    "base": set(),
    "elf": set(),
    "ldso": {"base", "elf/closure.h"},
    "process": {"base"},
    "policy": {"base", "process"},
    "cache": {"base", "policy"},
    "report": {"base", "cache"},
    "early": {"base", "elf/closure.h", "ldso", "policy"},
    "mpi": {"base", "ldso"},
    "fill": {"base", "cache", "policy"},
    "answer": {"base", "cache"},
    "plan": {"base", "cache", "policy", "process"},
    "broadcast": {"base", "cache", "mpi", "policy"},
    "invalidate": {"answer", "base", "cache", "policy", "process"},
    "resolve": {"base", "cache", "fill", "invalidate", "policy", "process"},
    "dlopen": {"base", "cache", "elf/closure.h", "fill", "ldso", "policy", "resolve"},
    "service": {"base", "broadcast", "cache", "dlopen", "fill", "mpi", "plan", "policy", "process", "report"},
    "intercept": {"answer", "base", "cache", "dlopen", "early/dlopen.h", "invalidate", "mpi/init.h", "mpi/redirect.h", "process", "resolve", "service"},
    "main": {"base", "cache", "early", "intercept/mpi.h", "mpi", "policy", "process", "resolve", "service"},
}

# Whoever calls one of these from inside the library comes back into its wrappers; only for what the sentence says.
NAMED_FUNCTIONS = {
    ("mpi/bind.o", "dlopen"): "the MPI library, with the guard held",
    ("mpi/redirect.o", "dlopen"): "a caller's own scope, with the guard held",
    ("mpi/redirect.o", "dlclose"): "the same",
}


def output(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout


def tracked(*patterns):
    return [pathlib.Path(p) for p in output("git", "ls-files", "--", *patterns).splitlines() if (ROOT / p).exists()]


def text_of(path):
    return (ROOT / path).read_text(errors="replace")


def component_of(path):
    """preload/cache/node.c -> cache, preload/roots.h -> roots"""
    parts = path.parts[1:]
    return parts[0] if len(parts) > 1 else path.stem


def symbols_def(table="symbols.def"):
    """The names of the table, as the compiler sees it."""
    table = subprocess.run(["gcc", "-E", "-P", "-x", "c", "-DX(r,n,p)=@n@", f"preload/intercept/{table}"],
                           check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return re.findall(r"@\s*(\w+)\s*@", table)


def undefined(obj):
    return {line.split()[-1].split("@")[0] for line in output("nm", "-u", str(obj)).splitlines() if line.strip()}


def test_components_use_only_components_below():
    for path in tracked("preload/*.c", "preload/*.h"):
        component = component_of(path)
        if component not in COMPONENTS:
            yield f"{path}: component {component} is not in the order of {pathlib.Path(__file__).name}"
            continue
        for include in re.findall(r'^#include "([^"]+)"', text_of(path), re.M):
            used = component_of(pathlib.Path("preload") / include)
            if used != component and used not in COMPONENTS[component] and include not in COMPONENTS[component]:
                yield f"{path}: {component} may not use {include}"


def test_the_order_has_no_cycle():
    placed = set()
    for component, below in COMPONENTS.items():
        for other in {b.split("/")[0] for b in below} - placed:
            yield f"{component} uses {other}, which is not below it"
        placed.add(component)


def test_files_have_no_cycle():
    """Neither have files, a .c and its .h taken for one. (X_private.h and internal.h are parts of what includes them.)"""
    uses = {}
    for path in tracked("preload/*.c", "preload/*.h"):
        name = str(path.relative_to("preload").with_suffix(""))
        if name.endswith(("_private", "/internal")):
            continue
        found = {i[:-2] for i in re.findall(r'^#include "([^"]+)"', text_of(path), re.M)}
        uses.setdefault(name, set()).update(u for u in found - {name} if not u.endswith(("_private", "/internal")))
    while True:
        placed = {name for name in uses if not uses[name] & set(uses)}
        if not placed:
            break
        for name in placed:
            del uses[name]
    if uses:
        yield "these files use each other: " + ", ".join(sorted(uses))


def test_only_mpi_includes_mpi_h():
    for path in tracked("preload/*.c", "preload/*.h"):
        if component_of(path) != "mpi" and re.search(r"^#include <mpi\.h>", text_of(path), re.M):
            yield f"{path} includes mpi.h"


def test_only_wrappers_name_the_interposed_functions():
    names = set(symbols_def())
    objects = list((BUILD / "obj/preload").rglob("*.o"))
    if len(objects) < 20:
        yield f"only {len(objects)} objects below {BUILD}/obj/preload: build first"
    for obj in objects:
        short = str(obj.relative_to(BUILD / "obj/preload"))
        if short.startswith(("intercept/", "elf/")):  # elf is a DSO in a namespace of its own
            continue
        for name in sorted(undefined(obj) & names):
            if (short, name) not in NAMED_FUNCTIONS:
                yield f"{short} calls {name}: use base/sys.h"


def test_the_table_names_each_once():
    names = symbols_def()
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f"symbols.def names {name} twice"
    if len(names) < 90:
        yield f"symbols.def has {len(names)} names only"


def test_exports_are_the_table():
    exported = {line.split()[-1] for line in output("nm", "-D", "--defined-only", str(LIBRARY)).splitlines()}
    exported -= {n for n in exported if n.startswith(("__odr_asan", "__asan"))}
    table = set(symbols_def())
    for name in sorted(table - exported):
        yield f"{name} is in symbols.def and not exported"
    for name in sorted(exported - table - {"fastimport_libraries_mapped"}):  # stubs call it (answer/library.h)
        yield f"{name} is exported and not in symbols.def" + (" (with a version)" if "@" in name else "")
    if "Version definition" in output("readelf", "--version-info", str(LIBRARY)):
        yield f"{LIBRARY} has a version node: nothing would bind to it"


def test_every_call_that_writes_is_judged():
    """A wrapper that notes changes, and that no judge ever calls, may forget to."""
    steps = set(re.findall(r"\bSTEP\((\w+),", text_of("tests/interpose/change.c")))
    defined = set()
    for name in ("open", "write"):
        defined |= set(re.findall(r" T (\w+)$", output("nm", str(BUILD / f"obj/preload/intercept/{name}.o")), re.M))
    names = [n for n in symbols_def() if n in defined]
    if len(names) < 55:
        yield f"only {len(names)} calls found that note what they change: this test no longer understands them"
    for name in names:
        if name not in steps:
            yield f"{name} notes what it changes, and is no step of tests/interpose/change.c"


def needed(library):
    found = re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", str(library)))
    sanitizer = re.compile(r"lib(a|ub|t|l)san\.so|libgcc_s\.so|libm\.so|libstdc\+\+\.so")
    return [n for n in found if not (os.environ.get("SANITIZE") and sanitizer.match(n))]


def test_the_library_needs_libc_alone():
    for name in needed(LIBRARY):
        if name != "libc.so.6":
            yield f"{LIBRARY} needs {name}"
    if "TEXTREL" in output("readelf", "-d", str(LIBRARY)):
        yield f"{LIBRARY} has text relocations"


def test_the_companion_needs_libelf_alone():
    companion = BUILD / "libfastimport-elf.so"
    for name in set(needed(companion)) - {"libc.so.6", "libelf.so.1"}:
        yield f"{companion} needs {name}"


def functions(text):
    """(name, lines) of every C function: from its head, at the left margin, to the brace that closes it there."""
    start, name = None, None
    for number, line in enumerate(text.splitlines(), 1):
        head = re.match(r"[A-Za-z_][\w\s*]*?[\s*](\w+)\s*\([^;]*$", line)
        if head and not line.startswith(("#", "typedef")):
            start, name = number, head.group(1)
        elif line.startswith("}"):
            if start is not None:
                yield name, number - start + 1
            start = None
        elif line.endswith(";") and not line.startswith((" ", "\t")):
            start = None


def test_functions_are_short():
    lengths = []
    for path in tracked("*.c"):
        for name, lines in functions(text_of(path)):
            lengths.append(lines)
            if lines > LONGEST_FUNCTION:
                yield f"{path}: {name}() has {lines} lines, more than {LONGEST_FUNCTION}"
    if len(lengths) < 300:
        yield f"only {len(lengths)} functions found: this test no longer understands the sources"
    print(f"{len(lengths)} functions, median {sorted(lengths)[len(lengths) // 2]} lines, longest {max(lengths)}")


def test_files_are_short():
    for path in tracked("*.c", "*.h", "*.py", "*.def", "*.mk", "*.sh"):
        lines = len(text_of(path).splitlines())
        if lines > LONGEST_FILE:
            yield f"{path} has {lines} lines, more than {LONGEST_FILE}"


def test_headers_say_what_they_promise():
    for path in tracked("preload/*.h"):
        text = text_of(path)
        if not re.match(r"(/\* SPDX[^\n]*\n)?/\*\s*(\* )?" + re.escape(path.name) + " - ", text):
            yield f"{path} does not begin with a comment on what it is for"
        if not re.search(r"#ifndef (FASTIMPORT\w+)\n#define \1\n", text):
            yield f"{path} has no include guard"


def test_nothing_of_this_machine_stands_in_the_tree():
    hosts = [".".join(h) for h in (("pypi", "org"), ("files", "pythonhosted", "org"), ("deb", "debian", "org"),
                                   ("proxy", "golang", "org"), ("conda", "anaconda", "org"))]
    folders = ["/".join(("", "work", "")), "/".join(("", "tmp", "wt")), ".py" + "env", str(ROOT) + "/"]
    for path in tracked():
        text = text_of(path)
        for word in hosts + folders:
            at = re.search(r"(?<![\w.$})*-])" + re.escape(word), text)
            if at:
                yield f"{path}: {word!r} in line {text.count(chr(10), 0, at.start()) + 1}"


def main():
    os.chdir(ROOT)
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        violations = list(test())
        print(f"{'FAILED' if violations else 'ok    '} {name[5:].replace('_', ' ')}")
        for violation in violations[:20]:
            print(f"    {violation}")
        passed, failed = passed + (not violations), failed + bool(violations)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
