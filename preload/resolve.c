/* resolve.c - see resolve.h. This is the one place where the flow of a call reads from top to bottom. */
#include "resolve.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "cache/mirror.h"

struct resolver resolver;
bool resolve_active;

void resolve_start(struct node_cache *node, struct fill *fill, const struct policy *policy)
{
    resolver = (struct resolver){node, fill, policy, geteuid(), getegid()};
    __atomic_store_n(&resolve_active, true, __ATOMIC_RELEASE);
}

void resolve_detach_fill(void)
{
    resolver.fill = NULL;
}

void resolve_fell_back(enum fallback_reason reason)
{
    count_add(&fi_count->fallbacks[reason], 1);
}

static const struct record *find(enum record_kind kind, uint64_t argument, const char *path, size_t length)
{
    struct fi_query q = query_make(kind, argument, path, length);

    return segment_find(&resolver.node->index, &q);
}

/* --- has this node written there? ------------------------------------------------------------------------------ */

static bool any_bypass(void)
{
    return atomic_load_explicit(&resolver.node->index.header->bypasses, memory_order_relaxed) > 0;
}

static bool path_bypassed(const char *path, size_t length)
{
    const struct segment_header *h = resolver.node->index.header;

    if (find(RECORD_BYPASS, BYPASS_PATH, path, length) != NULL) {
        return true;
    }
    if (atomic_load_explicit(&h->bypass_trees, memory_order_relaxed) == 0) {
        return false;
    }
    for (size_t n = path_parent_length(path, length); n > 1; n = path_parent_length(path, n)) {
        const struct record *r = find(RECORD_BYPASS, BYPASS_PATH, path, n);

        if (r != NULL && (r->flags & RECORD_TREE) != 0) {
            return true;
        }
    }
    return false;
}

static bool inode_bypassed(const struct stat *st)
{
    uint64_t key[2] = {st->st_dev, st->st_ino};

    return find(RECORD_BYPASS, BYPASS_INODE, (const char *)key, sizeof key) != NULL;
}

/* What this path's object is, if that is known: the target's stat for a symlink. */
static const struct stat *known_stat(const char *path, size_t length)
{
    const struct record *r = find(RECORD_STAT, 0, path, length);
    const struct record_stat *s;

    if (r == NULL || r->error != 0 || (r->flags & RECORD_UNAVAILABLE) != 0) {
        return NULL;
    }
    s = record_payload(r);
    if (!S_ISLNK(s->link.st_mode)) {
        return &s->link;
    }
    return s->stat_error == 0 ? &s->target : NULL;
}

/* Another name of a file or directory that was written to: known by its inode. Of a name that does not exist, the
 * directory must be known not to have been written to. */
static bool alias_bypassed(const struct record *r, const char *path, size_t length)
{
    const struct record_stat *s = record_payload(r);
    const struct record_content *c = record_payload(r);
    const struct stat *parent;

    if (r->error == ENOENT) {
        parent = known_stat(path, path_parent_length(path, length));
        return parent == NULL || inode_bypassed(parent);
    }
    if (r->error != 0) {
        return false;
    }
    if (r->kind == RECORD_STAT) {
        return inode_bypassed(&s->link) || (S_ISLNK(s->link.st_mode) && inode_bypassed(&s->target));
    }
    return r->kind == RECORD_CONTENT && inode_bypassed(&c->st);
}

/* --- what follows from other records ----------------------------------------------------------------------------- */

/* Names that a directory hides from its own listing (.snapshot on some file servers) begin with a dot. */
static bool listing_lacks(const char *directory, size_t length, const char *name, size_t name_length)
{
    const struct record *list = find(RECORD_LIST, 0, directory, length);
    char copy[FI_NAME_MAX + 1];

    if (list == NULL || list->error != 0 || (list->flags & RECORD_UNAVAILABLE) != 0 || name[0] == '.' ||
        name_length > FI_NAME_MAX) {
        return false;
    }
    memcpy(copy, name, name_length);
    copy[name_length] = '\0';
    return record_list_find(list, copy) == NULL;
}

/* May we look for names in this directory? Group lists and ACLs are the kernel's business: what is not clearly allowed is not. */
static bool is_searchable(const struct stat *st)
{
    if (resolver.uid == 0) {
        return true;
    }
    if (st->st_uid == resolver.uid) {
        return (st->st_mode & S_IXUSR) != 0;
    }
    return (st->st_mode & S_IXOTH) != 0 && (st->st_mode & S_IXGRP) != 0;
}

/* A directory whose listing is known says ENOENT only to those who may search it. */
static bool listing_counts(const char *path, size_t length)
{
    const struct stat *st;

    if (resolver.uid == 0) {
        return true;
    }
    st = known_stat(path, length);
    return st != NULL && is_searchable(st);
}

/* ENOENT or ENOTDIR if some directory on the way is known not to exist, not to be one, or not to list the next name;
 * else 0. */
static int implied_error(const char *path, size_t length)
{
    size_t child = length;

    for (size_t n = path_parent_length(path, length); n > 0; n = path_parent_length(path, n)) {
        const struct record *r;
        const struct stat *st;

        if (policy_verdict(resolver.policy, path, n) != OURS) {
            return 0;
        }
        if (any_bypass() && path_bypassed(path, n)) {
            return 0;
        }
        if (listing_lacks(path, n, path + n + 1, child - n - 1) && listing_counts(path, n)) {
            return ENOENT;
        }
        r = find(RECORD_STAT, 0, path, n);
        if (r != NULL && (r->error == ENOENT || r->error == ENOTDIR)) {
            return r->error;
        }
        st = known_stat(path, n);
        if (st != NULL) {
            return S_ISDIR(st->st_mode) ? 0 : ENOTDIR;
        }
        child = n;
    }
    return 0;
}

/* --- paths ------------------------------------------------------------------------------------------------------- */

/* A path in normal form, without a copy where it has that form already. */
struct subject {
    const char *path;
    size_t length;
    bool must_be_directory;
    struct fi_path storage;
};

/* Absolute, and nothing in it to normalise? Then its length, else 0. */
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

/* Is x of "x/.." a real directory, and one that we may search? */
static bool is_foldable(void *context, const char *path, size_t length)
{
    const struct stat *link;
    struct answer a;

    (void)context;
    if (policy_verdict(resolver.policy, path, length) != OURS || !resolve(CALL_PATH, RECORD_STAT, 0, path, &a) || a.error != 0) {
        return false;
    }
    link = &((const struct record_stat *)record_payload(a.record))->link;
    return S_ISDIR(link->st_mode) && is_searchable(link);
}

static bool make_subject(struct subject *s, const char *path)
{
    char cwd[FI_PATH_MAX];

    s->length = length_if_normal(path);
    if (s->length > 0) {
        s->path = path;
        s->must_be_directory = false;
        return true;
    }
    if (path[0] != '/' && (sys_getcwd(cwd, sizeof cwd) <= 0 || cwd[0] != '/')) {
        return false;
    }
    if (!path_normalise(&s->storage, cwd, path) ||
        policy_verdict(resolver.policy, s->storage.text, s->storage.length) == NOT_OURS) {
        return false;
    }
    if (s->storage.has_dotdot && !path_fold(&s->storage, is_foldable, NULL)) {
        return false;
    }
    s->path = s->storage.text;
    s->length = s->storage.length;
    s->must_be_directory = s->storage.must_be_directory;
    return true;
}

/* --- the flow ---------------------------------------------------------------------------------------------------- */

/* In a script's directory a name without a suffix is ours only if it is a package's directory. */
static bool is_listed_directory(const struct subject *s)
{
    size_t n = path_parent_length(s->path, s->length);
    const struct record *list = find(RECORD_LIST, 0, s->path, n);
    const struct record_list_entry *e;

    if (list == NULL || list->error != 0 || (list->flags & RECORD_UNAVAILABLE) != 0) {
        return false;
    }
    e = record_list_find(list, s->path + n + 1);
    return e != NULL && e->type == DT_DIR;
}

static bool is_ours(const struct subject *s)
{
    enum verdict verdict = policy_verdict(resolver.policy, s->path, s->length);

    return verdict == OURS || (verdict == OURS_IF_DIRECTORY && is_listed_directory(s));
}

/* The record for the query: from the node cache, or got by the fill. */
static const struct record *obtain(const struct fi_query *q, int *implied, enum fallback_reason *why)
{
    const struct record *r = segment_find(&resolver.node->index, q);

    *implied = 0;
    *why = FALLBACK_ENDED;
    if (r != NULL) {
        return r;
    }
    *implied = implied_error(q->path, q->length);
    if (*implied != 0 || resolver.fill == NULL) {
        return NULL;
    }
    return fill_get(resolver.fill, q, why);
}

static bool fall_back(enum fallback_reason reason)
{
    resolve_fell_back(reason);
    return false;
}

/* A path with a slash behind it must be a directory's; what else it may be is left to the kernel. */
static bool acceptable(const struct subject *s, const struct record *r)
{
    const struct record_stat *st = record_payload(r);

    if (!s->must_be_directory || r->kind == RECORD_LIST) {
        return true;
    }
    return r->kind == RECORD_STAT && r->error == 0 && S_ISDIR(st->link.st_mode);
}

bool resolve(enum call_family family, enum record_kind kind, uint64_t argument, const char *path, struct answer *answer)
{
    struct subject s;
    struct fi_query q;
    enum fallback_reason why;

    if (!make_subject(&s, path) || !is_ours(&s)) {
        return false;
    }
    count_add(&fi_count->intercepted[family], 1);
    if (any_bypass() && path_bypassed(s.path, s.length)) {
        return fall_back(FALLBACK_BYPASS);
    }
    q = query_make(kind, argument, s.path, s.length);
    answer->record = obtain(&q, &answer->error, &why);
    if (answer->record == NULL) {
        if (answer->error == 0) {
            return fall_back(why);
        }
        count_add(&fi_count->served[family], 1);
        return true;
    }
    if ((answer->record->flags & RECORD_UNAVAILABLE) != 0 || !acceptable(&s, answer->record)) {
        return fall_back(FALLBACK_UNAVAILABLE);
    }
    if (any_bypass() && alias_bypassed(answer->record, s.path, s.length)) {
        return fall_back(FALLBACK_BYPASS);
    }
    record_mark_used(answer->record);
    answer->error = answer->record->error;
    count_add(&fi_count->served[family], 1);
    return true;
}

/* --- writes -------------------------------------------------------------------------------------------------------- */

static void bypass(uint64_t argument, const char *key, size_t length, uint8_t flags)
{
    const struct record *known = find(RECORD_BYPASS, argument, key, length);
    struct record *r;

    if (known != NULL && (known->flags & flags) == flags) {
        return;
    }
    r = segment_allocate(&resolver.node->index, length, 0);
    if (r == NULL) {
        fi_log_once(LOG_WARN, "the index is full: a write cannot be noted; serving nothing more in this process");
        resolve_active = false;
        return;
    }
    r->kind = RECORD_BYPASS;
    r->argument = argument;
    r->flags = RECORD_LOCAL | flags;
    memcpy(r->path, key, length);
    record_seal(r);
    segment_publish(&resolver.node->index, r);
}

static void bypass_inode(const char *path)
{
    uint64_t key[2];
    struct stat st;

    if (sys_stat(path, &st) == 0) {
        key[0] = st.st_dev;
        key[1] = st.st_ino;
        bypass(BYPASS_INODE, (const char *)key, sizeof key, 0);
    }
}

static void bypass_path(struct fi_path *p, bool tree)
{
    size_t parent = path_parent_length(p->text, p->length);

    bypass(BYPASS_PATH, p->text, p->length, tree ? RECORD_TREE : 0);
    bypass_inode(p->text);
    if (parent > 0) {
        p->text[parent == 1 ? 1 : parent] = '\0';
        bypass(BYPASS_PATH, p->text, parent, 0);
        bypass_inode(p->text);
    }
}

/* The directory that a path is relative to. */
static bool base_of(int dirfd, const char *path, char out[FI_PATH_MAX])
{
    char link[64];
    ssize_t n;

    out[0] = '\0';
    if (path[0] == '/') {
        return true;
    }
    if (dirfd == AT_FDCWD) {
        return sys_getcwd(out, FI_PATH_MAX) > 0;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
    n = sys_readlink(link, out, FI_PATH_MAX - 1);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 && out[0] == '/';
}

/* The name that the kernel has for an open descriptor's file. */
static bool name_of_fd(int fd, char out[FI_PATH_MAX])
{
    char link[64];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = sys_readlink(link, out, FI_PATH_MAX - 1);
    out[n > 0 ? n : 0] = '\0';
    return n > 0 && out[0] == '/';
}

/* A path with "..": the kernel says what it means, of the path itself or, if nothing is there any more, of its directory. */
static bool without_dotdot(int dirfd, const char *path, struct fi_path *out)
{
    char parent[FI_PATH_MAX];
    char real[FI_PATH_MAX];
    const char *name = path_name(path, strlen(path));
    int fd = sys_openat(dirfd, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
    bool good;

    if (fd >= 0) {
        good = name_of_fd(fd, real);
        sys_close(fd);
        return good && path_normalise(out, "/", real);
    }
    if (name == path || name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        snprintf(parent, sizeof parent, "%.*s", (int)(name - path), path) >= (int)sizeof parent) {
        return false;
    }
    fd = sys_openat(dirfd, parent, O_PATH | O_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    good = name_of_fd(fd, real);
    sys_close(fd);
    return good && path_normalise(out, real, name);
}

/* The normal path of something that was written to, if it is ours. */
static bool written_path(int dirfd, const char *path, struct fi_path *out)
{
    char base[FI_PATH_MAX];

    if (!resolve_active || fi_inside() || (size_t)path < 4096 || !base_of(dirfd, path, base) ||
        !path_normalise(out, base, path)) {
        return false;
    }
    if (out->has_dotdot && !without_dotdot(dirfd, path, out)) {
        return false;
    }
    return policy_verdict(resolver.policy, out->text, out->length) != NOT_OURS;
}

void resolve_written(int dirfd, const char *path, bool tree)
{
    struct fi_path p;

    if (written_path(dirfd, path, &p)) {
        count_add(&fi_count->intercepted[CALL_WRITE], 1);
        bypass_path(&p, tree);
    }
}

struct resolve_name resolve_before_unlink(int dirfd, const char *path)
{
    struct resolve_name name = {0};
    const struct record *r;
    struct fi_path p;

    if (!written_path(dirfd, path, &p)) {
        return name;
    }
    r = find(RECORD_STAT, 0, p.text, p.length);
    if (r == NULL || r->error != 0 || (r->flags & RECORD_UNAVAILABLE) != 0) {
        r = find(RECORD_CONTENT, 0, p.text, p.length);
    }
    if (r != NULL && r->error == 0 && (r->flags & RECORD_UNAVAILABLE) == 0) {
        /* both payloads begin with the struct stat of the name itself, or of the file */
        const struct stat *st = record_payload(r);

        name = (struct resolve_name){true, {st->st_dev, st->st_ino}};
    }
    return name;
}

void resolve_unlinked(const struct resolve_name *name)
{
    if (name->known) {
        bypass(BYPASS_UNLINKED, (const char *)name->inode, sizeof name->inode, 0);
        bypass(BYPASS_INODE, (const char *)name->inode, sizeof name->inode, 0);
    }
}

/* The original behind a served descriptor was written to: ask for it by its name, which the mirror's name ends in. */
static bool fresh_stat(int fd, const struct stat *original, struct stat *st)
{
    char name[FI_PATH_MAX];
    size_t prefix = resolver.node->directory_length + strlen("/files");

    return name_of_fd(fd, name) && strlen(name) > prefix && sys_stat(name + prefix, st) == 0 &&
           st->st_ino == original->st_ino && st->st_dev == original->st_dev;
}

void resolve_fstat(int fd, struct stat *st)
{
    const struct stat *original = mirror_original(resolver.node, st);
    uint64_t key[2];

    if (original == NULL) {
        return;
    }
    if (!any_bypass() || !inode_bypassed(original) || !fresh_stat(fd, original, st)) {
        *st = *original;
        key[0] = original->st_dev;
        key[1] = original->st_ino;
        st->st_nlink -= any_bypass() && find(RECORD_BYPASS, BYPASS_UNLINKED, (const char *)key, sizeof key) != NULL;
    }
}

void resolve_written_fd(int fd)
{
    char path[FI_PATH_MAX];

    if (resolve_active && !fi_inside() && name_of_fd(fd, path)) {
        resolve_written(AT_FDCWD, path, false);
    }
}
