/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * linkmap.h - the objects that ld.so has loaded: names, SONAMEs and search paths.
 *
 * They are read through dl_iterate_phdr(3) from the objects' own dynamic sections (ELF gABI,
 * "Dynamic Section"). Strings are copies, because another thread may unload an object at any time.
 *
 * Thread rules: any thread. Takes ld.so's lock for the list only, so it may be called while another
 * thread is inside dlopen.
 */
#ifndef FASTIMPORT_LDSO_LINKMAP_H
#define FASTIMPORT_LDSO_LINKMAP_H

#include <stdbool.h>
#include <stddef.h>

/* libc's own functions; and mapped(), which is called when new objects have been mapped, before
 * their constructors run. */
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
    char *strings;           /* owns the strings above */
};

struct linkmap_list {
    struct linkmap_object *objects;
    size_t n;
};

/* Lists all objects in load order. Call linkmap_free(). Returns false if memory is short. */
bool linkmap_all(struct linkmap_list *list);
void linkmap_free(struct linkmap_list *list);

/* Does ld.so know an object by this name (its path or its SONAME)? */
bool linkmap_has(const struct linkmap_list *list, const char *name);

/* Was an object loaded from this path? */
bool linkmap_has_path(const struct linkmap_list *list, const char *path);

/* The object that contains this address; NULL if none does. */
const struct linkmap_object *linkmap_at(const struct linkmap_list *list, const void *address);

/* Writes the path of a file in the directory of this library. Returns false if that is not known,
 * or too long. Takes ld.so's lock. */
bool linkmap_beside(const char *name, char *out, size_t size);

#endif
