# SPDX-License-Identifier: BSD-3-Clause
"""The architecture: which component may use which, who may name libc's file functions, what the library exports and
needs, how long functions and files may be, and what may not stand in the tree.

Each test is a generator of violations; no_violations() makes it fail if there is one.
"""

import functools
import os
import pathlib
import re
import subprocess

from support import BUILD, ROOT

LIBRARY = BUILD / "libfastimport.so"

LONGEST_FUNCTION = 100
LONGEST_FILE = 500
LONGEST_LINE_OF_MARKDOWN = 100

# Where function names must be unique, each file has its licence, and Markdown is wrapped.
FINISHED_FOLDERS = ["preload/", "bcast-tool/", "bench/", "tests/"]
UNFINISHED_FOLDERS = []  # parts of those that are not yet so

# A component of preload/ (a folder) and those that it may use, besides itself, bottom first. The loose files of the top are
# components of their own.
COMPONENTS = {
    "base": set(),
    "elf": set(),
    "ldso": {"base", "elf/closure.h"},
    "process": {"base"},
    "policy": {"base", "process"},
    "cache": {"base", "policy"},
    "report": {"base", "cache", "process/job_id.h"},
    "early": {"base", "elf/closure.h", "ldso", "policy"},
    "mpi": {"base", "ldso"},
    "fill": {"base", "cache", "policy"},
    "answer": {"base", "cache"},
    "plan": {"base", "cache", "policy", "process"},
    "broadcast": {"base", "cache", "mpi", "policy"},
    "invalidate": {"answer", "base", "cache", "policy", "process"},
    "resolve": {"base", "cache", "fill", "invalidate", "policy", "process"},
    "dlopen": {"base", "cache", "elf/closure.h", "fill", "ldso", "policy", "resolve"},
    "service": {"base", "broadcast", "cache", "dlopen", "fill", "ldso/touched.h", "mpi", "plan", "policy", "process", "report"},
    "intercept": {"answer", "base", "cache", "dlopen", "early/dlopen.h", "invalidate", "mpi/init.h", "mpi/redirect.h", "process", "resolve", "service"},
    "packaging": set(),  # a plugin for Slurm, which stands alone
    "command": {"base", "cache/record.h", "mpi/bind.h", "plan", "policy/mounts.h", "process"},
    "main": {"base", "cache", "early", "fill", "intercept/mpi.h", "mpi", "policy", "process", "resolve", "service"},
}

# Whoever calls one of these from inside the library comes back into its wrappers; only for what the sentence says.
NAMED_FUNCTIONS = {
    ("mpi/bind.o", "dlopen"): "the MPI library, with the guard held",
    ("mpi/bind.o", "dlclose"): "the same",
    ("mpi/pmi_slot.o", "dlopen"): "PMIx as MPI has loaded it; at the exit, or before exec",
    ("mpi/redirect.o", "dlopen"): "a caller's own scope, with the guard held",
    ("mpi/redirect.o", "dlclose"): "the same",
}


# Functions that several C files may define, and why. The same holds for what symbols.def names: a shim has a libc's name, too.
SHARED_FUNCTIONS = {
    "main": "each program has one",
    "Py_Initialize": "the symbol by which the library takes a program for a Python",
    "LLVMFuzzerTestOneInput": "the entry of libFuzzer",
    "family_run": "the interface of the programs of tests/conformance/interpose",
}


def no_violations(find):
    """Decorator: makes a test that fails if find() yields a violation."""
    @functools.wraps(find)
    def test():
        violations = list(find())
        assert not violations, "\n".join([f"{len(violations)} violations", *violations[:20]])
    return test


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


@functools.cache
def symbols_def(table="symbols.def"):
    """The names of the table, as the compiler sees it."""
    table = subprocess.run(["gcc", "-E", "-P", "-x", "c", "-DX(r,n,p)=@n@", f"preload/intercept/{table}"],
                           check=True, capture_output=True, text=True, cwd=ROOT).stdout
    return re.findall(r"@\s*(\w+)\s*@", table)


def undefined(obj):
    return {line.split()[-1].split("@")[0] for line in output("nm", "-u", str(obj)).splitlines() if line.strip()}


@no_violations
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


@no_violations
def test_the_order_has_no_cycle():
    placed = set()
    for component, below in COMPONENTS.items():
        for other in {b.split("/")[0] for b in below} - placed:
            yield f"{component} uses {other}, which is not below it"
        placed.add(component)


@no_violations
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


@no_violations
def test_only_mpi_includes_mpi_h():
    for path in tracked("preload/*.c", "preload/*.h"):
        if component_of(path) != "mpi" and re.search(r"^#include <mpi\.h>", text_of(path), re.M):
            yield f"{path} includes mpi.h"


@no_violations
def test_the_library_is_built_with_libelf_alone():
    """What is installed with a C compiler and libelf must build. The command may use one library more."""
    others = {"archive.h", "cmocka.h", "jansson.h", "json-c/json.h", "xxhash.h", "zlib.h", "zstd.h"}
    for path in tracked("preload/*.c", "preload/*.h"):
        for name in re.findall(r"^#include <([^>]+)>", text_of(path), re.M):
            if name in others and (component_of(path), name) != ("command", "jansson.h"):
                yield f"{path} includes {name}"
            if name.startswith(("libelf", "gelf", "elfutils/")) and component_of(path) != "elf":
                yield f"{path} includes {name}"


@no_violations
def test_only_wrappers_name_the_interposed_functions():
    names = set(symbols_def())
    objects = list((BUILD / "obj/preload").rglob("*.o"))
    if len(objects) < 20:
        yield f"only {len(objects)} objects below {BUILD}/obj/preload: build first"
    for obj in objects:
        short = str(obj.relative_to(BUILD / "obj/preload"))
        if short.startswith(("intercept/", "elf/", "command/")):  # elf is a DSO in a namespace of its own, command a program
            continue
        for name in sorted(undefined(obj) & names):
            if (short, name) not in NAMED_FUNCTIONS:
                yield f"{short} calls {name}: use base/sys.h"


@no_violations
def test_the_table_names_each_once():
    names = symbols_def()
    for name in sorted({n for n in names if names.count(n) > 1}):
        yield f"symbols.def names {name} twice"
    if len(names) < 90:
        yield f"symbols.def has {len(names)} names only"


@no_violations
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


@no_violations
def test_every_call_that_writes_is_tested():
    """A wrapper that notes changes, and that no test ever calls, may forget to."""
    steps = set(re.findall(r"\bSTEP\((\w+),", text_of("tests/conformance/interpose/change.c")))
    defined = set()
    for name in ("open", "write"):
        defined |= set(re.findall(r" T (\w+)$", output("nm", str(BUILD / f"obj/preload/intercept/{name}.o")), re.M))
    names = [n for n in symbols_def() if n in defined]
    if len(names) < 55:
        yield f"only {len(names)} calls found that note what they change: this test no longer understands them"
    for name in names:
        if name not in steps:
            yield f"{name} notes what it changes, and is no step of tests/conformance/interpose/change.c"


OF_LIBC = {"libc.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"}  # before glibc 2.34


def needed(library):
    found = re.findall(r"\(NEEDED\).*\[(.+)\]", output("readelf", "-d", str(library)))
    sanitizer = re.compile(r"lib(a|ub|t|l)san\.so|libgcc_s\.so|libm\.so|libstdc\+\+\.so")
    return [n for n in found if not (os.environ.get("SANITIZE") and sanitizer.match(n))]


@no_violations
def test_the_library_needs_libc_alone():
    for name in set(needed(LIBRARY)) - OF_LIBC:
        yield f"{LIBRARY} needs {name}"
    if "TEXTREL" in output("readelf", "-d", str(LIBRARY)):
        yield f"{LIBRARY} has text relocations"


@no_violations
def test_the_closure_dso_needs_libelf_alone():
    closure_dso = BUILD / "libfastimport-elf.so"
    for name in set(needed(closure_dso)) - OF_LIBC - {"libelf.so.1"}:
        yield f"{closure_dso} needs {name}"


def functions(text):
    """(name, lines) of every C function: from its head, at the left margin, to the brace that closes it there."""
    start, name = None, None
    text = re.sub(r"\bElfW\((\w+)\)", r"Elf64_\1", text)
    for number, line in enumerate(text.splitlines(), 1):
        head = re.match(r"[A-Za-z_][\w\s*]*?[\s*](\w+)\s*\([^;]*$", line)
        if head and head.group(1) != "__attribute__" and not line.startswith(("#", "typedef")):
            start, name = number, head.group(1)
        elif line.startswith("}"):
            if start is not None:
                yield name, number - start + 1
            start = None
        elif line.endswith(";") and not line.startswith((" ", "\t")):
            start = None


@no_violations
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


@no_violations
def test_files_are_short():
    for path in tracked("*.c", "*.h", "*.py", "*.def", "*.mk", "*.sh"):
        lines = len(text_of(path).splitlines())
        if lines > LONGEST_FILE:
            yield f"{path} has {lines} lines, more than {LONGEST_FILE}"


@no_violations
def test_headers_say_what_they_promise():
    for path in tracked("preload/*.h"):
        text = text_of(path)
        if not re.match(r"(/\* SPDX[^\n]*\n)?/\*\s*(\* )?" + re.escape(path.name) + " - ", text):
            yield f"{path} does not begin with a comment on what it is for"
        if not re.search(r"#ifndef (FASTIMPORT\w+)\n#define \1\n", text):
            yield f"{path} has no include guard"


@no_violations
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


# --- names, licences, pages: in the folders that are finished ---------------------------------------------------------


def finished(*patterns):
    return [path for path in tracked(*patterns)
            if str(path).startswith(tuple(FINISHED_FOLDERS)) and not str(path).startswith(tuple(UNFINISHED_FOLDERS))]


def may_be_shared(name):
    return name in SHARED_FUNCTIONS or name.startswith("__wrap_") or name in symbols_def()


@no_violations
def test_function_names_are_unique():
    """So that grep finds one place. (Functions that a macro defines are not seen.)"""
    places = {}
    for path in finished("*.c"):
        for name, _ in functions(text_of(path)):
            places.setdefault(name, set()).add(str(path))
    if len(places) < 300:
        yield f"only {len(places)} functions found: this test no longer understands the sources"
    for name, paths in sorted(places.items()):
        if len(paths) > 1 and not may_be_shared(name):
            yield f"{name}() is defined in {', '.join(sorted(paths))}"


@no_violations
def test_each_file_has_its_licence():
    paths = finished("*.c", "*.h", "*.py", "*.sh", "*.mk", "*.def")
    paths += [p for p in finished() if p.suffix == "" and text_of(p).startswith("#!")]
    for path in paths:
        if "SPDX-License-Identifier: BSD-3-Clause" not in "\n".join(text_of(path).splitlines()[:2]):
            yield f"{path} has no line with SPDX-License-Identifier at its top"


@no_violations
def test_markdown_is_wrapped():
    for path in finished("*.md"):
        for number, line in enumerate(text_of(path).splitlines(), 1):
            if len(line) > LONGEST_LINE_OF_MARKDOWN:
                yield f"{path}:{number} has {len(line)} columns"
