/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closure_probe DSO closure|dlopen TARGET [CALLER]: what the closure says, or what ld.so loads, for
 * one library.
 *
 * With CALLER, a library with a function open_from_here(), that library is loaded first and calls
 * dlopen.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

typedef void *open_fn(const char *name, int flags);

static open_fn *opener(const char *caller)
{
    void *handle = caller ? dlopen(caller, RTLD_NOW) : NULL;
    open_fn *function = handle ? (open_fn *)dlsym(handle, "open_from_here") : NULL;
    if (caller && !function) {
        fprintf(stderr, "closure_probe: %s\n", dlerror());
        exit(2);
    }
    return function ? function : dlopen;
}

static int compare_with_dlopen(open_fn *open_library, const char *target)
{
    int before = probe_link_map(1 << 30, STDOUT_FILENO);
    void *handle = open_library(target, RTLD_LAZY);
    printf("%s\n", handle ? "OK" : "FAILED");
    fflush(stdout);
    if (!handle)
        fprintf(stderr, "%s\n", dlerror());
    else
        probe_link_map(before, STDOUT_FILENO);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: closure_probe DSO closure|dlopen TARGET [CALLER]\n");
        return 2;
    }
    open_fn *open_library = opener(argc > 4 ? argv[4] : NULL);
    if (strcmp(argv[2], "dlopen") == 0)
        return compare_with_dlopen(open_library, argv[3]);
    if (probe_open(argv[1]) != 0)
        return 2;
    probe_closure(argv[3], argc > 4 ? argv[4] : NULL, STDOUT_FILENO);
    return 0;
}
