/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libpath.h - what the directories of LD_LIBRARY_PATH hold: listed once by the launcher, known to
 * all ranks.
 *
 * Before a rank can be served, ld.so must load its MPI library and what that needs, and searches
 * all of LD_LIBRARY_PATH for each name: with twenty directories on the shared file system that is
 * hundreds of look-ups on each node. A launcher (mpiexec, srun) that runs under the preload, too,
 * lists those directories once and puts what it saw into an environment variable, which launchers
 * hand on to their ranks. A rank that finds it there can tell which names need not be looked for
 * (open.h).
 *
 * The variable: "1:", 16 hexadecimal digits a directory, ":", 6 hexadecimal digits a name, ".". A
 * directory is known by a hash of its path and of what is mounted there, so that it is
 * nobody else's /opt/lib; a name by a hash of it and its directory. Names of shared libraries
 * (".so" in them) and of anything but regular files are told; two names of one hash cost a look-up,
 * no more.
 */
#ifndef FASTIMPORT_EARLY_LIBPATH_H
#define FASTIMPORT_EARLY_LIBPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIBPATH_VARIABLE "FASTIMPORT_LIBRARY_NAMES"

enum {
    LIBPATH_DIRECTORIES = 128,
    LIBPATH_NAMES = 3000, /* in all: 18 kB of environment; a directory that has no room is left out
                           */
    LIBPATH_ENTRIES = 20000, /* of one directory; a larger one is left out, too */
    LIBPATH_TEXT = 2 + 16 * LIBPATH_DIRECTORIES + 1 + 6 * LIBPATH_NAMES + 2,
};

struct libpath {
    size_t n_directories;
    struct libpath_directory {
        char *path; /* normal */
        size_t length;
        uint64_t key;
    } directories[LIBPATH_DIRECTORIES];
    size_t n_names;
    uint32_t names[LIBPATH_NAMES]; /* sorted */
};

/* The launcher: lists what `search` (LD_LIBRARY_PATH) has on network file systems, whatever
 * FASTIMPORT_FS says: nothing else is known to be the same on other nodes. Returns the text's
 * length, 0: there is nothing to tell. `out` has LIBPATH_TEXT bytes. */
size_t libpath_describe(const char *search, char *out);

/* A rank: takes the launcher's text for those of its own directories that are the same. False: none
 * are. To be freed by libpath_free() in any case. */
bool libpath_load(struct libpath *libpath, const char *text, const char *search);
void libpath_free(struct libpath *libpath);

/* Did the launcher see that there is no such library, or no such directory? False: look yourself.
 */
bool libpath_lacks_library(const struct libpath *libpath, const char *path);
bool libpath_lacks_directory(const struct libpath *libpath, const char *path);

/* Is this one of the directories that were listed? */
bool libpath_has_listed(const struct libpath *libpath, const char *path);

#endif
