/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * trust.h - can another user replace what stands under a name?
 *
 * Whoever may rename a directory on the way to a file decides which file that is, however private
 * the file itself is. Root is trusted, and the present effective user.
 *
 * Thread rules: any thread; no state.
 */
#ifndef FASTIMPORT_BASE_TRUST_H
#define FASTIMPORT_BASE_TRUST_H

#include <stddef.h>

/* path: absolute; of its first n bytes, a directory's name, each component is looked at. 0: only
 * this user and root can replace it, or a name that this user makes there. -EPERM: others can; also
 * where a component is a symlink. Else -errno of what could not be looked at. */
int trust_way(const char *path, size_t n);

#endif
