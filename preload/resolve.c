/* SPDX-License-Identifier: BSD-3-Clause */
/* resolve.c - see resolve.h. The flow of a call is in this one file, from top to bottom. */
#include "resolve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "cache/changes.h"
#include "fill/prefetch.h"
#include "invalidate/stale.h"

/* The working directory is far from all roots: neither below one nor above one. A stale `true`
 * makes calls real that could have been served and does no other harm, so it does not matter that a
 * raw chdir is not noticed. */
static bool cwd_is_foreign;

void resolve_fell_back(enum fallback_reason reason)
{
    count_add(&fi_count->fallbacks[reason], 1);
}

static const struct record *resolve_find(enum record_kind kind, uint64_t argument, const char *path,
                                         size_t length)
{
    struct fi_query q = query_make(kind, argument, path, length);

    return segment_find(&resolver.node->index, &q);
}

/* The record for the query, or `listing` if that comes first: from the node cache, or through the
 * fill. */
static const struct record *resolve_get(const struct fi_query *q, const struct fi_query *listing,
                                        enum fallback_reason *why)
{
    const struct record *r = segment_find(&resolver.node->index, q);

    if (r != NULL) {
        return r;
    }
    return fill_get(resolver.fill, q, listing, why);
}

/* The same for a prefix of a path. */
static const struct record *resolve_get_prefix(enum record_kind kind, uint64_t argument,
                                               const char *path, size_t length)
{
    const struct record *r = resolve_find(kind, argument, path, length);
    char copy[FI_PATH_MAX];
    struct fi_query q;
    enum fallback_reason why;

    if (r != NULL || length >= sizeof copy) {
        return r;
    }
    memcpy(copy, path, length);
    copy[length] = '\0';
    q = query_make(kind, argument, copy, length);
    return resolve_get(&q, NULL, &why);
}

static bool is_success(const struct record *r)
{
    return r != NULL && r->error == 0 && (record_flags(r) & RECORD_UNAVAILABLE) == 0;
}

/* --- what follows from other records --- */

/* The struct stat of the object at this path, if the cache has it; for a symlink that of its
 * target. */
static const struct stat *known_stat(const char *path, size_t length)
{
    const struct record *r = resolve_find(RECORD_STAT, 0, path, length);
    const struct record_stat *s;

    if (!is_success(r)) {
        return NULL;
    }
    s = record_payload(r);
    if (!S_ISLNK(s->link.st_mode)) {
        return &s->link;
    }
    return s->stat_error == 0 ? &s->target : NULL;
}

/* May names be looked up in this directory? (If not, the kernel says EACCES for all names.) */
static bool is_searchable(const char *path, size_t length)
{
    const struct record *r = resolve_get_prefix(RECORD_STAT, 0, path, length);
    const struct stat *st = known_stat(path, length);

    if (r != NULL) {
        record_mark_used(r);
    }
    return (st != NULL && (st->st_mode & 0111) == 0111) ||
           is_success(resolve_get_prefix(RECORD_ACCESS, X_OK | RECORD_EFFECTIVE, path, length));
}

/* Does the cached listing show that this name does not exist? */
static bool listing_lacks(const char *directory, size_t length, const char *name,
                          size_t name_length)
{
    const struct record *list = resolve_find(RECORD_LIST, 0, directory, length);
    char copy[FI_NAME_MAX + 1];

    if (list == NULL || name_length > FI_NAME_MAX) {
        return false;
    }
    memcpy(copy, name, name_length);
    copy[name_length] = '\0';
    if (!record_list_lacks(list, copy)) {
        return false;
    }
    record_mark_used(list);
    return true;
}

/* -ENOENT or -ENOTDIR if a directory on the way is known not to exist, not to be a directory, or
 * not to list the next name; else 0. */
static int implied_error(const char *path, size_t length)
{
    size_t child = length;

    for (size_t n = path_parent_length(path, length); n > 0; n = path_parent_length(path, n)) {
        const struct record *r;
        const struct stat *st;

        if (policy_verdict(resolver.policy, path, n) != OURS) {
            return 0;
        }
        if (listing_lacks(path, n, path + n + 1, child - n - 1)) {
            return is_searchable(path, n) ? -ENOENT : 0;
        }
        r = resolve_find(RECORD_STAT, 0, path, n);
        if (r != NULL && (r->error == ENOENT || r->error == ENOTDIR)) {
            return -r->error;
        }
        st = known_stat(path, n);
        if (st != NULL) {
            return S_ISDIR(st->st_mode) ? 0 : -ENOTDIR;
        }
        child = n;
    }
    return 0;
}

/* Returns the record, or NULL and an error that follows from other records: from those that are
 * there already, or from the listing of the directory if that arrives first. With neither, *why is
 * the reason. */
static const struct record *resolve_get_or_imply(const struct fi_query *q, int *error,
                                                 enum fallback_reason *why)
{
    size_t n = path_parent_length(q->path, q->length);
    struct fi_query listing = query_make(RECORD_LIST, 0, q->path, n);
    const struct record *r;
    bool is_listed;

    *error = implied_error(q->path, q->length);
    if (*error != 0) {
        return NULL;
    }
    is_listed = n == 0 || segment_find(&resolver.node->index, &listing) != NULL;
    if (!resolver.fill->is_guest) {
        prefetch_after(q);
    }
    r = resolve_get(q, is_listed ? NULL : &listing, why);
    if (r == NULL || r->hash == q->hash) {
        return r;
    }
    *error = implied_error(q->path, q->length);
    return *error != 0 ? NULL : resolve_get(q, NULL, why);
}

/* --- what this node has changed --- */

/* The `look` function for stale_path(). */
static const struct record *resolve_look(const char *path, size_t length, int *error)
{
    const struct record *r = resolve_find(RECORD_STAT, 0, path, length);

    *error = 0;
    if (r != NULL || (*error = implied_error(path, length)) != 0) {
        return r;
    }
    return resolve_get_prefix(RECORD_STAT, 0, path, length);
}

bool resolve_is_stale(const char *path, size_t length)
{
    const struct stale_context by = {resolver.node, resolver.policy, resolve_look};

    if (!change_any(resolver.node)) {
        return false;
    }
    if (changes_may_be_missed(resolver.node)) {
        fill_tell_silence(resolver.fill);
        return true;
    }
    return changes_are_lost(resolver.node) || stale_path(&by, path, length);
}

/* --- paths --- */

/* A path in normal form; `path` points to the program's string if that is normal already. */
struct subject {
    const char *path;
    size_t length;
    bool must_be_directory;
    bool must_be_searchable; /* it ends in "." */
    struct fi_path storage;
};

/* The length of an absolute path that is normal already, else 0. */
static size_t length_if_normal(const char *path)
{
    size_t n;

    if (path[0] != '/' || path[1] == '\0') {
        return 0;
    }
    for (n = 0; path[n] != '\0'; n++) {
        if (path[n] == '/' && (path[n + 1] == '/' || path[n + 1] == '.' || path[n + 1] == '\0')) {
            return 0;
        }
    }
    return n < FI_PATH_MAX ? n : 0;
}

/* Is ".." in this directory known to be the directory before it in the path? (The path_is_directory
 * of path_fold().) */
static bool is_plain_directory(void *unused, const char *path, size_t length)
{
    const struct record *r;
    const struct record_stat *s;

    (void)unused;
    if (policy_verdict(resolver.policy, path, length) != OURS || resolve_is_stale(path, length)) {
        return false;
    }
    r = resolve_get_prefix(RECORD_STAT, 0, path, length);
    s = is_success(r) ? record_payload(r) : NULL;
    return s != NULL && S_ISDIR(s->link.st_mode) && is_searchable(path, length);
}

void resolve_moved(void)
{
    __atomic_store_n(&cwd_is_foreign, false, __ATOMIC_RELAXED);
}

bool resolve_wants_relative(const char *path)
{
    return !__atomic_load_n(&cwd_is_foreign, __ATOMIC_RELAXED) ||
           (path[0] == '.' && path[1] == '.') || strstr(path, "/..") != NULL;
}

static bool get_cwd(char cwd[FI_PATH_MAX])
{
    if (sys_getcwd(cwd, FI_PATH_MAX) <= 0 || cwd[0] != '/') {
        return false;
    }
    if (policy_is_unrelated(resolver.policy, cwd, strlen(cwd))) {
        __atomic_store_n(&cwd_is_foreign, true, __ATOMIC_RELAXED);
    }
    return true;
}

/* "x/." and "x/./" look up a name in x; "x/" does not. */
static bool ends_in_dot(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    return path[n - 1] == '.' && (n == 1 || path[n - 2] == '/');
}

static bool resolve_make_subject(struct subject *s, const char *path)
{
    char cwd[FI_PATH_MAX];

    s->length = length_if_normal(path);
    if (s->length > 0) {
        s->path = path;
        s->must_be_directory = false;
        s->must_be_searchable = false;
        return true;
    }
    if (path[0] != '/' && !get_cwd(cwd)) {
        return false;
    }
    if (!path_normalise(&s->storage, cwd, path) ||
        policy_verdict(resolver.policy, s->storage.text, s->storage.length) == NOT_OURS) {
        return false;
    }
    if (s->storage.has_dotdot && !path_fold(&s->storage, is_plain_directory, NULL)) {
        return false;
    }
    s->path = s->storage.text;
    s->length = s->storage.length;
    s->must_be_directory = s->storage.must_be_directory;
    s->must_be_searchable = s->must_be_directory && ends_in_dot(path);
    return true;
}

/* --- the flow --- */

/* In a script's directory a name without a suffix is ours only if it is the directory of a
 * package. */
static bool is_listed_directory(const char *path, size_t length)
{
    size_t n = path_parent_length(path, length);
    const struct record *list = resolve_find(RECORD_LIST, 0, path, n);
    const struct record_list_entry *e;

    if (!is_success(list)) {
        return false;
    }
    e = record_list_find(list, path + n + 1);
    return e != NULL && e->type == DT_DIR;
}

static bool is_ours(const char *path, size_t length)
{
    enum verdict verdict = policy_verdict(resolver.policy, path, length);

    return verdict == OURS || (verdict == OURS_IF_DIRECTORY && is_listed_directory(path, length));
}

static bool resolve_fall_back(enum fallback_reason reason)
{
    resolve_fell_back(reason);
    return false;
}

/* A path with a trailing slash must be that of a directory. The kernel decides all other cases. */
static bool is_acceptable(const struct record *r, bool must_be_directory)
{
    const struct record_stat *st = record_payload(r);

    if (!must_be_directory || r->kind == RECORD_LIST) {
        return true;
    }
    return r->kind == RECORD_STAT && r->error == 0 && S_ISDIR(st->link.st_mode);
}

static bool resolve_deliver(enum call_family family, const struct record *r, int error,
                            struct answer *answer)
{
    answer->record = r;
    answer->error = error;
    count_add(&fi_count->served[family], 1);
    if (r != NULL) {
        record_mark_used(r);
    }
    return true;
}

/* The quick way: if there is a record for the path as it stands, the path is normal. The record is
 * the answer as long as this node has changed nothing. */
static bool resolve_at_once(enum call_family family, const struct fi_query *q,
                            struct answer *answer)
{
    const struct record *r = segment_find(&resolver.node->index, q);

    if (r == NULL || (record_flags(r) & RECORD_UNAVAILABLE) != 0 ||
        policy_verdict(resolver.policy, q->path, q->length) != OURS) {
        return false;
    }
    count_add(&fi_count->intercepted[family], 1);
    return resolve_deliver(family, r, -r->error, answer);
}

static bool resolve_slowly(enum call_family family, enum record_kind kind, uint64_t argument,
                           const char *path, struct answer *answer)
{
    struct subject s;
    struct fi_query q;
    enum fallback_reason why;
    const struct record *r;
    int error = 0;

    if (!resolve_make_subject(&s, path) || !is_ours(s.path, s.length)) {
        return false;
    }
    count_add(&fi_count->intercepted[family], 1);
    if (resolve_is_stale(s.path, s.length)) {
        return resolve_fall_back(FALLBACK_STALE);
    }
    q = query_make(kind, argument, s.path, s.length);
    r = segment_find(&resolver.node->index, &q);
    if (r == NULL) {
        r = resolve_get_or_imply(&q, &error, &why);
        if (error != 0) {
            return resolve_deliver(family, NULL, error, answer);
        }
    }
    if (r == NULL) {
        return resolve_fall_back(why);
    }
    if ((record_flags(r) & RECORD_UNAVAILABLE) != 0 || !is_acceptable(r, s.must_be_directory) ||
        (s.must_be_searchable && !is_searchable(s.path, s.length))) {
        return resolve_fall_back(FALLBACK_UNAVAILABLE);
    }
    return resolve_deliver(family, r, -r->error, answer);
}

bool resolve(enum call_family family, enum record_kind kind, uint64_t argument, const char *path,
             struct answer *answer)
{
    if (path[0] == '/' && !change_any(resolver.node)) {
        struct fi_query q = query_make(kind, argument, path, strlen(path));

        if (resolve_at_once(family, &q, answer)) {
            return true;
        }
    }
    return resolve_slowly(family, kind, argument, path, answer);
}
