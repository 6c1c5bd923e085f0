/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * linkmap.h - what ld.so has loaded: names, SONAMEs and search paths of the objects in the link
 * map.
 *
 * Read through dl_iterate_phdr(3) from the objects' own dynamic sections (ELF gABI, "Dynamic
 * Section"). Strings are copies, as another thread may unload an object at any time. Takes ld.so's
 * lock for the list only, so it may be called while another thread is inside dlopen.
 */
#ifndef FASTIMPORT_LDSO_LINKMAP_H
#define FASTIMPORT_LDSO_LINKMAP_H

#include <stdbool.h>
#include <stddef.h>

/* libc's own; and what is to be called when new objects are mapped, before their constructors. */
struct library_calls {
    void *(*dlopen)(const char *path, int flags);
    int (*dlclose)(void *handle);
    void (*mapped)(void);
};

struct linkmap_object {
    const char *name; /* l_name; "" for the executable */
    const char *soname;
    const char *rpath;
    const char *runpath;
    bool nodeflib;           /* DF_1_NODEFLIB */
    const char *begin, *end; /* the addresses that its segments span */
    char *strings;           /* the memory of the strings above */
};

struct linkmap_list {
    struct linkmap_object *objects;
    size_t n;
};

/* All objects in load order, to be freed by linkmap_free(). False: no memory. */
bool linkmap_all(struct linkmap_list *list);
void linkmap_free(struct linkmap_list *list);

/* Is an object in the list that ld.so knows under this name (its path or its SONAME)? */
bool linkmap_has(const struct linkmap_list *list, const char *name);

/* Is an object in the list that was loaded from this path? */
bool linkmap_has_path(const struct linkmap_list *list, const char *path);

/* The object that has this address in it; NULL: none. */
const struct linkmap_object *linkmap_at(const struct linkmap_list *list, const void *address);

/* The name of a file in the directory of this library. False: not known, or too long. Takes
 * ld.so's lock. */
bool linkmap_beside(const char *name, char *out, size_t size);

#endif
