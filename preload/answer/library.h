/*
 * library.h - dlopen from the mirror: what a library needs first, then the library.
 *
 * ld.so finds each DT_NEEDED by SONAME among the objects that are loaded and opens nothing itself (dl_map_object in
 * glibc's elf/dl-load.c). The objects' l_name is set back to the original path, so that dladdr(3), debuggers and a second
 * dlopen see the real name. Whatever cannot be loaded so is left to ld.so on the original path.
 *
 * Thread rules: as dlopen(3). The guard is held while libraries' constructors run? No: they are the program's.
 */
#ifndef FASTIMPORT_ANSWER_LIBRARY_H
#define FASTIMPORT_ANSWER_LIBRARY_H

#include "cache/node.h"

typedef void *library_dlopen(const char *path, int flags);

/* The handle; NULL: make the real call (nothing is left loaded). */
void *answer_library(const struct node_cache *node, const struct record *record, int flags, library_dlopen *real_dlopen);

#endif
