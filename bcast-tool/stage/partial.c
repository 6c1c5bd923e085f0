/* SPDX-License-Identifier: BSD-3-Clause */
#include "stage/partial.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/name.h"
#include "base/io.h"
#include "tree/tree.h"

#define INFIX ".partial-"
#define MAGIC "python-mpi-bcast-partial 1\n"

enum {
    DIGITS = 16,
    CLAIM_WAIT_SECONDS = 2, /* how long another job may take to see that it has lost */
    CLAIM_NAP = 5000        /* microseconds */
};

int partial_new_name(const char *base, char name[PARTIAL_NAME], struct error *err)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, 0) != sizeof number) {
        return error_set_errno(err, NULL, "cannot get a random number");
    }
    snprintf(name, PARTIAL_NAME, "%s" INFIX "%016" PRIx64, base, number);
    return 0;
}

const char *partial_number(const char *name)
{
    size_t n = strlen(name);
    return n > DIGITS ? name + n - DIGITS : name;
}

static bool partial_is_name(const char *base, const char *name)
{
    size_t n = strlen(base);
    return strncmp(name, base, n) == 0 && strncmp(name + n, INFIX, strlen(INFIX)) == 0 &&
           strlen(name + n) == strlen(INFIX) + DIGITS &&
           strspn(name + n + strlen(INFIX), "0123456789abcdef") == DIGITS;
}

/* The content is written after the file is locked. A file that is not locked and has no content is
 * therefore not taken for a mark. */
int partial_mark(int dir, const char *token)
{
    char text[sizeof MAGIC + PARTIAL_TOKEN];
    if (mkdirat(dir, NAME_OWN, 0755) < 0 && errno != EEXIST) {
        return -1;
    }
    unlinkat(dir, NAME_MARK, 0);
    int fd = openat(dir, NAME_MARK, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int n = snprintf(text, sizeof text, MAGIC "%.*s\n", PARTIAL_TOKEN - 2, token);
    if (fd >= 0 && (flock(fd, LOCK_EX | LOCK_NB) < 0 || io_write(fd, text, (size_t)n, -1) < 0)) {
        int error = errno;
        unlinkat(dir, NAME_MARK, 0);
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static bool partial_is_own(int fd, mode_t type)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == type && st.st_uid == geteuid() &&
           !(st.st_mode & 022);
}

static enum partial_state partial_look_at_mark(int dir, char token[PARTIAL_TOKEN])
{
    char text[sizeof MAGIC + PARTIAL_TOKEN] = "";
    int fd = openat(dir, NAME_MARK, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    enum partial_state state = PARTIAL_NONE;
    if (fd >= 0 && partial_is_own(fd, S_IFREG) && io_read(fd, text, sizeof text - 1) > 0 &&
        strncmp(text, MAGIC, strlen(MAGIC)) == 0) {
        snprintf(token, PARTIAL_TOKEN, "%.*s", (int)strcspn(text + strlen(MAGIC), "\n"),
                 text + strlen(MAGIC));
        state = flock(fd, LOCK_SH | LOCK_NB) == 0 ? PARTIAL_DEAD : PARTIAL_LIVE;
    }
    if (fd >= 0) {
        close(fd);
    }
    return state;
}

enum partial_state partial_look(int parent, const char *base, const char *name,
                                char token[PARTIAL_TOKEN])
{
    token[0] = '\0';
    if (!partial_is_name(base, name)) {
        return PARTIAL_NONE;
    }
    int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    enum partial_state s =
        dir >= 0 && partial_is_own(dir, S_IFDIR) ? partial_look_at_mark(dir, token) : PARTIAL_NONE;
    if (dir >= 0) {
        close(dir);
    }
    return s;
}

typedef bool use(void *context, int parent, const char *name, enum partial_state s,
                 const char *token);

/* Calls `each` for all partial copies of DIR until it returns false. */
static void partial_walk(int parent, const char *base, use *each, void *context)
{
    char token[PARTIAL_TOKEN];
    struct dirent *e;
    int fd = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL && fd >= 0) {
        close(fd);
    }
    while (d != NULL && (e = readdir(d)) != NULL) {
        enum partial_state s = partial_look(parent, base, e->d_name, token);
        if (s != PARTIAL_NONE && !each(context, parent, e->d_name, s, token)) {
            break;
        }
    }
    if (d != NULL) {
        closedir(d);
    }
}

struct search {
    const char *mine, *token;
    bool same;            /* look for copies of this job, else of others */
    bool found, is_first; /* is_first: the name of one of them comes before mine */
};

static bool partial_compare(void *context, int parent, const char *name, enum partial_state s,
                            const char *token)
{
    struct search *search = context;
    (void)parent;
    if (s == PARTIAL_LIVE && strcmp(name, search->mine) != 0 &&
        (strcmp(token, search->token) == 0) == search->same) {
        search->found = true;
        search->is_first |= strcmp(name, search->mine) < 0;
    }
    return true;
}

bool partial_other(int parent, const char *base, const char *mine, const char *token, bool same)
{
    struct search s = {.mine = mine, .token = token, .same = same};
    partial_walk(parent, base, partial_compare, &s);
    return s.found;
}

/* If two jobs see each other, the one whose name comes first wins. A job that sees a later name
 * waits until that is gone. It stays if its job looked before this one's copy existed; that job has
 * won then. */
bool partial_claim(int parent, const char *base, const char *mine, const char *token)
{
    for (double end = io_now() + CLAIM_WAIT_SECONDS;; io_nap(CLAIM_NAP)) {
        struct search s = {.mine = mine, .token = token};
        partial_walk(parent, base, partial_compare, &s);
        if (!s.found) {
            return true;
        }
        if (s.is_first || io_now() > end) {
            return false;
        }
    }
}

static bool partial_is_any_of(const char *name, const char *const *list)
{
    while (*list != NULL && strcmp(*list, name) != 0) {
        list++;
    }
    return *list;
}

/* Removes all but `kept` from a directory. Closes `fd`. */
static int partial_empty_but(int fd, const char *const *kept, struct error *err)
{
    struct dirent *e;
    int r = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL && fd >= 0) {
        close(fd);
    }
    while (d != NULL && (e = readdir(d)) != NULL) {
        if (!partial_is_any_of(e->d_name, kept) && tree_remove(dirfd(d), e->d_name, err) < 0) {
            r = -1;
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    return r;
}

int partial_remove(int parent, const char *name, struct error *err)
{
    static const char *const outside[] = {".", "..", NAME_OWN, NULL};
    static const char *const inside[] = {".", "..", &NAME_MARK[sizeof NAME_OWN], NULL};
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int top = openat(parent, name, flags);
    if (top < 0) {
        return errno == ENOENT ? 0 : error_set_errno(err, name, "cannot open");
    }
    int own = openat(top, NAME_OWN, flags);
    int r = partial_empty_but(top, outside, err);
    if (partial_empty_but(own, inside, err) < 0) {
        r = -1;
    }
    return r < 0 ? -1 : tree_remove(parent, name, err);
}

struct removal {
    struct error *err;
    int result;
};

static bool partial_remove_if_dead(void *context, int parent, const char *name,
                                   enum partial_state s, const char *token)
{
    struct removal *r = context;
    (void)token;
    if (s == PARTIAL_DEAD && partial_remove(parent, name, r->err) < 0) {
        r->result = -1;
    }
    return true;
}

int partial_remove_dead(int parent, const char *base, struct error *err)
{
    struct removal r = {.err = err};
    partial_walk(parent, base, partial_remove_if_dead, &r);
    return r.result;
}
