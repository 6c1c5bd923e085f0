/* SPDX-License-Identifier: BSD-3-Clause */
/* announce_change.c - see announce_change.h */
#include "invalidate/announce_change.h"

#include <string.h>

#include "base/sys.h"
#include "invalidate/announce.h"
#include "policy/policy.h"
#include "process/serving.h"

/* A rank's Python makes byte code for itself while it imports. Ranks that do not see it compile the
 * source. What a child compiles may be what the program wanted (compileall, pip). */
static bool is_own_byte_code(const struct fi_path *p)
{
    return !resolver.is_guest && strstr(p->text, "/__pycache__/") != NULL &&
           strstr(p->text, ".pyc") != NULL;
}

static size_t parent_of(const struct fi_path *p, char directory[FI_PATH_MAX])
{
    size_t n = path_parent_length(p->text, p->length);

    memcpy(directory, p->text, n);
    directory[n] = '\0';
    return n;
}

/* The parent directory, if that is below the roots or above one. */
static void announce_parent(const struct fi_path *p)
{
    char directory[FI_PATH_MAX];
    size_t n = parent_of(p, directory);

    if (n == 0 || (policy_verdict(resolver.policy, p->text, n) == NOT_OURS &&
                   !policy_leads_to_root(resolver.policy, p->text, n))) {
        announce_directory(resolver.node, p->text, p->length);
    } else {
        announce_directory(resolver.node, directory, n);
    }
}

static void announce_object(const struct fi_path *p, ino_t inode)
{
    announce_inode(resolver.node, p->text, p->length, inode);
}

static bool has_other_names(const struct stat *st)
{
    return st->st_nlink > 1 && !S_ISDIR(st->st_mode);
}

/* The target of a symlink, or a file with hard links. */
static void announce_names(const struct fi_path *p)
{
    struct stat st;

    if (sys_lstat(p->text, &st) != 0) {
        return;
    }
    if (S_ISLNK(st.st_mode) ? sys_stat(p->text, &st) == 0 : has_other_names(&st)) {
        announce_object(p, st.st_ino);
    }
}

void announce_change(const struct fi_path *p)
{
    if (!is_own_byte_code(p)) {
        announce_names(p);
        announce_parent(p);
    }
}

/* A directory may have been reached through a symlink, the way to which is closed now. */
void announce_permissions(const struct fi_path *p, const struct stat *before)
{
    if (S_ISDIR(before->st_mode) || before->st_nlink > 1) {
        announce_object(p, before->st_ino);
    }
}

void announce_removed(const struct fi_path *p, const struct stat *before)
{
    if (has_other_names(before)) {
        announce_object(p, before->st_ino);
    }
}

void announce_directory_of(const struct fi_path *p, const struct stat *before)
{
    char directory[FI_PATH_MAX];
    size_t n = parent_of(p, directory);
    struct stat now;

    if (n > 0 && (sys_stat(directory, &now) != 0 || now.st_ino != before->st_ino)) {
        announce_inode(resolver.node, directory, n, before->st_ino);
    }
}
