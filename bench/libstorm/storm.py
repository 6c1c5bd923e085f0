#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""storm.py DIR needed|modules: loads a storm of libraries, calls every function, and checks the sum of the results.

needed   one dlopen() of libstorm_all.so, which loads all others by DT_NEEDED
modules  one `import stormNNN` for each module

Prints one line: the variant, the number of modules, the checksum, and the seconds for loading and for calling. Exits with 1 if
the checksum differs from that of storm_gen. With LD_LIBRARY_PATH=$(cat DIR/ld_library_path) ld.so searches the empty
directories, too.
"""

import ctypes
import importlib
import json
import sys
import time


def load_needed(folder, _count):
    """Returns the function that calls all functions."""
    library = ctypes.CDLL(folder + "/libstorm_all.so")
    library.storm_run_all.restype = ctypes.c_long
    return library.storm_run_all


def load_modules(folder, count):
    """Returns a function that calls the functions of all modules."""
    sys.path.insert(0, folder)
    modules = [importlib.import_module(f"storm{n:03}") for n in range(count)]
    return lambda: sum(module.run() for module in modules)


def main():
    variants = {"needed": load_needed, "modules": load_modules}
    if len(sys.argv) != 3 or sys.argv[2] not in variants:
        sys.exit(__doc__)
    folder, variant = sys.argv[1:]
    with open(folder + "/storm.json", encoding="utf-8") as f:
        manifest = json.load(f)
    start = time.monotonic()
    run = variants[variant](folder, manifest["modules"])
    loaded = time.monotonic()
    checksum = run()
    called = time.monotonic()
    right = checksum == manifest["checksum"]
    print(f"storm {variant} modules={manifest['modules']} checksum={checksum} {'ok' if right else 'WRONG'} "
          f"load={loaded - start:.3f}s call={called - loaded:.3f}s", flush=True)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
