/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closure_dso.h - loads libfastimport-elf.so, which computes what a library needs (elf/closure.h).
 *
 * The DSO is beside libfastimport.so. It is opened in a link-map namespace of its own, so that
 * libelf and libz do not enter that of the program, and only in processes that examine ELF files.
 *
 * Thread rules: closure_dso_open() in the constructor or the service thread. Its result may be used
 * by any thread and is valid as long as the process lives.
 */
#ifndef FASTIMPORT_LDSO_CLOSURE_DSO_H
#define FASTIMPORT_LDSO_CLOSURE_DSO_H

#include "elf/closure.h"
#include "ldso/linkmap.h"

struct closure_dso {
    fi_closure_compute_fn *compute;
    fi_closure_free_fn *release;
};

/* Opens the DSO at the first call. Returns NULL, after one message, if it cannot be opened or has
 * another version. Every call returns the same. */
const struct closure_dso *closure_dso_open(void);

/* Describes an object of the link map for struct fi_closure_request. */
struct fi_elf_loader closure_dso_loader(const struct linkmap_object *object, const char *path);

/* Describes all objects of the link map, with room for `more` behind. The caller frees the array
 * before `map` and `program`, from which it borrows. NULL: no memory. program: the path of the
 * executable, which the link map does not have. */
struct fi_elf_loaded *closure_dso_loaded(const struct linkmap_list *map, const char *program,
                                         size_t more);

/* For struct fi_elf_source: maps the bytes of a file (returns 0 or a positive errno), and unmaps
 * them. */
int closure_dso_map(const char *path, struct fi_elf_bytes *out);
void closure_dso_unmap(void *ctx, struct fi_elf_bytes *bytes);

#endif
