/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libpath.h - the names in the directories of LD_LIBRARY_PATH: the launcher lists them once, and
 * all ranks know them.
 *
 * Before a rank can be served, ld.so must load its MPI library and what that needs, and searches
 * all of LD_LIBRARY_PATH for each name: with twenty directories on the shared file system that is
 * hundreds of look-ups on each node. A launcher (mpiexec, srun) that also runs under the preload
 * lists those directories once and puts the names into an environment variable, which launchers
 * pass on to their ranks. A rank that has the variable knows which names it need not look for
 * (early/dlopen.h).
 *
 * The variable: "1:", 16 hexadecimal digits for each directory, ":", 6 hexadecimal digits for each
 * name, ".". A directory is identified by a hash of its path and of what is mounted there, so that
 * it is not confused with another node's /opt/lib; a name by a hash of the name and its directory.
 * Names of shared libraries (that contain ".so") and of everything but regular files are listed.
 * Two names with the same hash cost one look-up, no more.
 *
 * Thread rules: one thread calls libpath_describe() or libpath_load(); then any thread.
 */
#ifndef FASTIMPORT_EARLY_LIBPATH_H
#define FASTIMPORT_EARLY_LIBPATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LIBPATH_VARIABLE "FASTIMPORT_LIBRARY_NAMES"

enum {
    LIBPATH_DIRECTORIES = 128,
    /* in total (18 kB of environment); a directory for which there is no room is left out */
    LIBPATH_NAMES = 3000,
    LIBPATH_ENTRIES = 20000, /* in one directory; a larger one is left out, too */
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

/* The launcher's side: lists the directories of `search` (LD_LIBRARY_PATH) that are on network file
 * systems; no others are known to be the same on all nodes, whatever FASTIMPORT_FS says. Writes at
 * most LIBPATH_TEXT bytes to `out`. Returns the length, or 0 if there is nothing to tell. */
size_t libpath_describe(const char *search, char *out);

/* A rank's side: takes the launcher's text for those of its own directories that are the same.
 * Returns false if none are. Call libpath_free() in either case. */
bool libpath_load(struct libpath *libpath, const char *text, const char *search);
void libpath_free(struct libpath *libpath);

/* Did the launcher see that there is no such library, or no such directory? False: look
 * yourself. */
bool libpath_lacks_library(const struct libpath *libpath, const char *path);
bool libpath_lacks_directory(const struct libpath *libpath, const char *path);

/* Is this one of the directories that were listed? */
bool libpath_has_listed(const struct libpath *libpath, const char *path);

#endif
