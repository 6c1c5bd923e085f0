/* Which names and link targets an archive may carry. Pure functions, no file system.
 *
 * Rule: an entry lands below DIR under its own name, whatever links exist there. What cannot be
 * said so is refused, with a reason.
 */
#ifndef BCAST_ARCHIVE_NAME_H
#define BCAST_ARCHIVE_NAME_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_OWN      ".python-mpi-bcast" /* our own directory in archives and staged trees */
#define NAME_MANIFEST NAME_OWN "/manifest"
#define NAME_STATE    NAME_OWN "/state"   /* what was staged */
#define NAME_MARK     NAME_OWN "/partial" /* this is a partial copy; its job holds a lock on it */

/* Writes the normal form of `raw` ("./a//b/" -> "a/b", "./" -> "") into `out`.
 * Returns NULL, or a static string that says why the name is refused: absolute, "..", a newline,
 * a component over 255 bytes, a path over `size` - 1 bytes. */
const char *name_normal(const char *raw, char *out, size_t size);

/* May a symlink at normal path `path` point to `target`? Returns NULL, or the reason why not.
 * Relative targets must stay inside the tree; absolute ones are the caller's to judge. */
const char *name_link(const char *path, const char *target);

/* Is `path` `dir` itself or below it? Both normal. */
bool name_below(const char *path, const char *dir);

#endif
