/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closure_dso.h - libfastimport-elf.so, which computes what a library needs (elf/closure.h).
 *
 * It stands beside libfastimport.so and is opened in a link-map namespace of its own, so that
 * libelf and libz do not enter the program's, and only where ELF files are examined.
 *
 * Thread rules: companion_open() in the constructor or the service thread; what it returns may be
 * used by any thread and is good for as long as the process lives.
 */
#ifndef FASTIMPORT_LDSO_CLOSURE_DSO_H
#define FASTIMPORT_LDSO_CLOSURE_DSO_H

#include "elf/closure.h"
#include "ldso/linkmap.h"

struct closure_dso {
    fi_closure_compute_fn *compute;
    fi_closure_free_fn *release;
};

/* NULL, after one warning: it cannot be opened, or is of another version. The same at each call. */
const struct closure_dso *closure_dso_open(void);

/* An object of the link map, for struct fi_closure_request. */
struct fi_elf_loader closure_dso_loader(const struct linkmap_object *object, const char *path);

/* All of them, with room for `more` behind; to be freed, before `map` and `program`, from which it
 * borrows. NULL: no memory. program: the executable, which the link map does not name. */
struct fi_elf_loaded *closure_dso_loaded(const struct linkmap_list *map, const char *program,
                                         size_t more);

/* For struct fi_elf_source: the bytes of a file (0, or an errno value), and its close(). */
int closure_dso_map(const char *path, struct fi_elf_bytes *out);
void closure_dso_unmap(void *ctx, struct fi_elf_bytes *bytes);

#endif
