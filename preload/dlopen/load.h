/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load.h - dlopen from the mirror: loads a library and all that it needs, with the scope and the
 * order that ld.so would give them.
 *
 * A stub (ldso/stub.h) names the libraries that are not loaded yet by their mirror names, in
 * ld.so's mapping order. One dlopen of the stub maps them all before ld.so looks at the needs of
 * any of them; ld.so then finds these needs by SONAME and searches nothing (_dl_map_object in
 * glibc's elf/dl-load.c). After that the library itself is opened with the program's flags, and the
 * stub is closed. So scope, binding, order of constructors and destructors, and reference counts
 * are those of a plain dlopen. With RTLD_LAZY the stub stays until the last dlclose of the library,
 * since symbols are still to be bound in its scope.
 *
 * The l_name of each object is set back to the original path by a helper library. The stub names
 * the helper last, so its constructor runs first: constructors of the program's libraries,
 * dladdr(3), debuggers and a second dlopen see the original name. $ORIGIN is still that of the
 * mirror. A library that cannot be loaded in this way is left to ld.so, by its original path.
 *
 * Thread rules: as dlopen(3); no lock is held while code of the program runs. errno may change, as
 * with dlopen.
 */
#ifndef FASTIMPORT_DLOPEN_LOAD_H
#define FASTIMPORT_DLOPEN_LOAD_H

#include "cache/node.h"
#include "ldso/linkmap.h"

/* Has this process loaded what the root had loaded when it answered? If not, the record does not
 * list all that the library needs. */
bool load_fits(const struct record *record);

/* Loads the library of a record. Returns the handle, or NULL if the real call must be made; then
 * nothing stays loaded, and the reason is recorded for the report (cache/unserved.h), except with
 * RTLD_NOLOAD. `given`: the path by which the program named the library, or NULL if it was searched
 * for by name. */
void *load_library(struct node_cache *node, const struct record *record, const char *given,
                   int flags, const struct library_calls *calls);

/* dlclose(3) of a handle. Also closes the stub that load_library() has kept open for it. */
int load_close(void *handle, const struct library_calls *calls);

/* The constructor of the helper library, which ld.so finds by calling an IFUNC resolver. Exported
 * for ld.so only. */
void fastimport_libraries_mapped(void);

#endif
