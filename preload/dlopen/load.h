/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * load.h - dlopen from the mirror: the library and all that it needs, in one scope and one
 * order, as ld.so would have it.
 *
 * What is not loaded yet is named, in the order in which ld.so would map it, by a stub (stub.h)
 * under mirror names; one dlopen of the stub maps it all before ld.so looks at anybody's own needs,
 * which it then finds by SONAME and searches nothing (dl_map_object in glibc's elf/dl-load.c). Then
 * the library itself is opened, with the program's flags, and the stub is closed: scope, binding,
 * order of constructors and destructors, and reference counts are those of a plain dlopen. With
 * RTLD_LAZY the stub must stay until the library's last dlclose, since symbols are still to be
 * bound in its scope.
 *
 * The objects' l_name is set back to the original path by a helper that the stub names last and
 * whose constructor therefore runs first: the program's constructors, dladdr(3), debuggers and a
 * second dlopen see the real name. $ORIGIN is still the mirror's. Whatever cannot be loaded so is
 * left to ld.so on the original path.
 *
 * Thread rules: as dlopen(3); no lock is held while the program's code runs. errno may change, as
 * with dlopen.
 */
#ifndef FASTIMPORT_DLOPEN_LOAD_H
#define FASTIMPORT_DLOPEN_LOAD_H

#include "cache/node.h"
#include "ldso/linkmap.h"

/* Has this process loaded what the root had when it answered? If not, the answer does not say what
 * that needs. */
bool load_fits(const struct record *record);

/* The handle; NULL: make the real call (nothing is left loaded; the reason is noted for the report,
 * but with RTLD_NOLOAD, cache/left.h). `given` is how the program named the library: a path, or
 * NULL when it was searched by name. */
void *load_library(struct node_cache *node, const struct record *record, const char *given,
                   int flags, const struct library_calls *calls);

/* dlclose(3), and what answer_library() kept for this handle. */
int load_close(void *handle, const struct library_calls *calls);

/* Turns a path in the mirror back into the original's, in place. */
void load_original_name(const struct node_cache *node, char *path);

/* What the stub's helper calls. */
void fastimport_libraries_mapped(void);

#endif
