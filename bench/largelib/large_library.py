#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""large_library.py OUTPUT [--mb N] [--seed N]: makes a shared library with the shape of those in CUDA wheels.

Most of it is data that a start hardly touches: device code and resources in sections of their own (.nv_fatbin, .cask_resource,
a writable .ldata). The rest are code and tables. Between the segments are holes.

Each page of these sections begins with the library's seed and the page's number; the rest of it is random. The library has

    large_base()        the address at which it is loaded
    large_sum(n)        the sum of the first words of every n-th page of its data
    large_at_start()    the same sum with n = 1, as its constructor has computed it
    large_at_resolve()  the same, as the resolver of an IFUNC has, before ld.so has relocated other libraries
    large_pointers()    how many of its 100,000 pointers, which ld.so relocates, are right

As a module: make() and SHAPE.
"""

import argparse
import dataclasses
import pathlib
import random
import struct
import subprocess
import tempfile

PAGE = 4096


@dataclasses.dataclass
class Section:
    name: str
    size: int  # bytes
    flags: str = "a"  # as the assembler has them: a allocated, w writable, x code


# Parts of the whole, as in libtorch_cuda.so and libcublasLt.so.
SHAPE = [(".nv_fatbin", "a", 0.45), (".cask_resource", "a", 0.15), (".ldata", "aw", 0.1), (".rodata", "a", 0.1), (".text.large", "ax", 0.2)]

SOURCE = """
#include <stdint.h>
#include <stddef.h>
struct part { const char *at; size_t size; };
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
%(declarations)s
static uint64_t sum(size_t step)
{
    const struct part parts[] = {%(parts)s};
    uint64_t total = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (size_t at = 0; at + 8 <= parts[i].size; at += step * 4096)
            total = total * 31 + *(const uint64_t *)(parts[i].at + at);
    return total;
}
static uint64_t at_start, at_resolve;
__attribute__((constructor)) static void begin(void) { at_start = sum(%(at_start)d); }
static int resolved(void) { return 1; }
typedef int function(void);
static function *resolve(void) { at_resolve = sum(%(at_start)d); return resolved; }
int large_ifunc(void) __attribute__((ifunc("resolve")));
function *large_pointer = large_ifunc;  /* so that ld.so calls the resolver at once */
const char *large_base(void) { return __ehdr_start; }
uint64_t large_sum(size_t step) { return sum(step); }
enum { POINTERS = 50000 };
static int pointed;
static int *const volatile constant[POINTERS] = {[0 ... POINTERS - 1] = &pointed};
static int *volatile variable[POINTERS] = {[0 ... POINTERS - 1] = &pointed};
int large_pointers(void)
{
    int right = 0;
    for (int i = 0; i < POINTERS; i++)
        right += (constant[i] == &pointed) + (variable[i] == &pointed);
    return right;
}
uint64_t large_at_start(void) { return at_start; }
uint64_t large_at_resolve(void) { return large_ifunc() ? at_resolve : 0; }
%(more)s
"""


def content(size, seed, number, out):
    """Writes the bytes of a section."""
    block = bytearray(random.Random(seed * 1000 + number).randbytes(min(size, 1 << 20)))
    with open(out, "wb") as file:
        for start in range(0, size, len(block)):
            piece = memoryview(block)[:min(len(block), size - start)]
            for at in range(0, len(piece) - 15, PAGE):
                struct.pack_into("<QQ", piece, at, seed + 1, number << 32 | (start + at) // PAGE)
            file.write(piece)


def make(output, sections, seed=0, needs=(), flags=(), page=2 << 20, more="", at_start=1):
    """Builds the library. page: the alignment of segments in the file, which makes the holes; more: C code of its own; at_start:
    the constructor and the resolver read every so many pages only."""
    with tempfile.TemporaryDirectory(dir=pathlib.Path(output).parent) as scratch:
        assembly, declarations, parts = [], [], []
        for number, section in enumerate(sections):
            data = f"{scratch}/{number}"
            content(section.size, seed, number, data)
            kind = "@progbits"
            assembly.append(f'.section {section.name},"{section.flags}",{kind}\n.balign 64\n.hidden part{number}\n.globl part{number}\npart{number}: .incbin "{data}"')
            declarations.append(f'extern const char part{number}[] __attribute__((visibility("hidden")));')
            parts.append(f"{{part{number}, {section.size}UL}}")
        pathlib.Path(scratch, "parts.s").write_text("\n".join([*assembly, '.section .note.GNU-stack,"",@progbits', ""]))
        pathlib.Path(scratch, "code.c").write_text(SOURCE % {"declarations": "\n".join(declarations), "parts": ", ".join(parts), "more": more, "at_start": at_start})
        subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", output, f"{scratch}/code.c", f"{scratch}/parts.s", f"-Wl,-soname,{pathlib.Path(output).name}",
                        "-Wl,--no-as-needed", f"-Wl,-z,max-page-size={page}", "-Wl,-z,separate-code", *map(str, needs), *flags], check=True)
    return output


def shape(total):
    """The sections of SHAPE, of `total` bytes together."""
    return [Section(name, int(total * part) // PAGE * PAGE, flags) for name, flags, part in SHAPE]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--mb", type=int, default=500, help="size in MB (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    make(args.output, shape(args.mb << 20), args.seed)


if __name__ == "__main__":
    main()
