/* presence.c - see presence.h */
#include "mpi/presence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "mpi/place.h"

enum { COUNTING, ALL_HERE, SOME_MISSING };

/* LOOKS: the daemon may still be starting ranks. */
enum { LOOKS = 3, OPENINGS = 100, OPENING_NAP_NS = 1000000, SLICE_NS = 250000000 };

/* A wrapper that is a Python has so long to call exec. */
static const int64_t grace_ns = 2000000000;
static const int64_t look_ns = 1000000000; /* from one look at the other ranks to the next */

/* The file; all zero at first. */
struct presence {
    _Atomic uint32_t state; /* a futex */
    _Atomic int here;
    _Atomic int64_t looked; /* of all that wait, one looks */
    _Atomic int fewer;      /* so often it has seen fewer processes than ranks */
};

struct count {
    char name[512];
    int fd;
    struct presence *shared;
    int daemon, expected;
};

/* --- the file --- */

static bool is_sound(const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_uid == geteuid() && (st->st_mode & 0077) == 0 &&
           st->st_nlink <= 1 && (st->st_size == 0 || st->st_size == sizeof(struct presence));
}

/* Whoever removes a file that nobody waits for takes the lock alone (cache/node.h): what is locked
 * and has a name stays. */
static int open_once(const char *name, bool *again)
{
    struct stat st;
    int fd = sys_move_high(
        sys_open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    bool locked, sound;

    if (fd < 0) {
        return fd;
    }
    locked = sys_flock(fd, LOCK_SH | LOCK_NB) == 0;
    sound = sys_fstat(fd, &st) == 0 && is_sound(&st);
    if (locked && sound && st.st_nlink == 1) {
        return fd;
    }
    *again = sound;
    sys_close(fd);
    return -1;
}

static int open_file(const char *name)
{
    int fd = -1;
    bool again = true;

    for (int i = 0; i < OPENINGS && fd < 0 && again; i++) {
        if (i > 0) {
            sys_nap_ns(OPENING_NAP_NS);
        }
        again = false;
        fd = open_once(name, &again);
    }
    return fd;
}

static bool open_count(struct count *c)
{
    c->fd = open_file(c->name);
    if (c->fd < 0) {
        return false;
    }
    c->shared = sys_fallocate(c->fd, 0, sizeof *c->shared) != 0
                    ? NULL
                    : sys_mmap(sizeof *c->shared, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
    if (c->shared == NULL) {
        sys_close(c->fd);
    }
    return c->shared != NULL;
}

static void close_count(struct count *c)
{
    sys_munmap(c->shared, sizeof *c->shared);
    sys_close(c->fd);
}

/* For all that wait. False: another rank has done it before, perhaps in another way. */
static bool decide(struct count *c, uint32_t state)
{
    uint32_t before = COUNTING;

    if (!atomic_compare_exchange_strong(&c->shared->state, &before, state)) {
        return false;
    }
    sys_unlink(c->name);
    sys_futex_wake(&c->shared->state, c->expected);
    return true;
}

/* --- other ranks of the daemon --- */

struct sighting {
    bool is_rank; /* a Python, or a program of MPI */
    bool is_loaded;
    bool is_ours;
};

/* A line of /proc/PID/maps (proc(5)). */
static void note_mapping(const char *line, struct sighting *seen)
{
    const char *slash = strrchr(line, '/');
    const char *name = slash == NULL ? "" : slash + 1;

    seen->is_ours |= strncmp(name, "libfastimport", strlen("libfastimport")) == 0;
    seen->is_loaded |= strncmp(name, "libc.", strlen("libc.")) == 0 ||
                       strncmp(name, "libc-", strlen("libc-")) == 0;
    seen->is_rank |= strncmp(name, "python", strlen("python")) == 0 ||
                     strncmp(name, "libpython", strlen("libpython")) == 0 ||
                     strncmp(name, "libmpi", strlen("libmpi")) == 0;
}

/* The kernel gives whole lines. */
static void note_mappings(char *text, struct sighting *seen)
{
    char *rest = text;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        note_mapping(line, seen);
    }
}

enum process { ENDED, ELSE, WITHOUT_US };

/* What is preloaded is mapped before libc. A process that has ended, and a zombie, map nothing. */
static enum process look_at(long pid)
{
    char text[8192];
    struct sighting seen = {false};
    ssize_t n = 0;
    off_t at = 0;
    int fd;

    snprintf(text, sizeof text, "/proc/%ld/maps", pid);
    fd = sys_open(text, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) {
        return fd == -ENOENT || fd == -ESRCH ? ENDED : ELSE;
    }
    for (; (n = sys_pread(fd, text, sizeof text - 1, at)) > 0; at += n) {
        text[n] = '\0';
        note_mappings(text, &seen);
    }
    sys_close(fd);
    if (n < 0) {
        return n == -ESRCH ? ENDED : ELSE;
    }
    if (at == 0) {
        return ENDED;
    }
    return seen.is_rank && seen.is_loaded && !seen.is_ours ? WITHOUT_US : ELSE;
}

struct others {
    int alive;
    int without_us;
};

static struct others look_at_children(int daemon)
{
    struct others o = {0};
    char name[64];
    char list[8192] = "";
    char *at = list;

    snprintf(name, sizeof name, "/proc/%d/task/%d/children", daemon, daemon);
    sys_read_file(name, list, sizeof list);
    for (;;) {
        char *end;
        long pid = strtol(at, &end, 10);
        enum process process = end == at ? ENDED : look_at(pid);

        if (end == at) {
            return o;
        }
        o.alive += process != ENDED;
        o.without_us += process == WITHOUT_US;
        at = end;
    }
}

static bool is_my_turn(struct count *c)
{
    int64_t now = sys_now_ns();
    int64_t last = atomic_load(&c->shared->looked);

    return now - last > look_ns &&
           atomic_compare_exchange_strong(&c->shared->looked, &last, now);
}

/* --- waiting --- */

static void give_up(struct count *c, int missing, const char *why)
{
    if (decide(c, SOME_MISSING)) {
        fi_log(LOG_WARN, "%d of the %d ranks of this node %s; going on without fastimport", missing,
               c->expected, why);
    }
}

/* Those that are here are children of the daemon, or below one: a list with fewer is not whole. */
static void look_around(struct count *c)
{
    struct others o = look_at_children(c->daemon);
    bool some_ended = o.alive < c->expected && o.alive >= atomic_load(&c->shared->here);

    c->shared->fewer = some_ended ? c->shared->fewer + 1 : 0;
    if (o.without_us > 0) {
        give_up(c, o.without_us,
                "run without this library: LD_PRELOAD has reached only some of them");
    } else if (c->shared->fewer >= LOOKS) {
        give_up(c, c->expected - o.alive, "have ended without joining the others");
    }
}

static void give_up_at(struct count *c, uint64_t limit_ms)
{
    char why[256];

    snprintf(why, sizeof why,
             "are missing: not all ranks have joined within %llu ms (one may be no Python and no MPI "
             "program, or LD_PRELOAD has not reached it)",
             (unsigned long long)limit_ms);
    give_up(c, c->expected - atomic_load(&c->shared->here), why);
}

static bool await(struct count *c, uint64_t limit_ms)
{
    int64_t start = sys_now_ns();
    int64_t limit_ns = (int64_t)limit_ms * 1000000;
    int64_t waited;

    if (atomic_fetch_add(&c->shared->here, 1) + 1 >= c->expected) {
        decide(c, ALL_HERE);
    }
    while (atomic_load(&c->shared->state) == COUNTING) {
        sys_futex_wait(&c->shared->state, COUNTING, limit_ns < SLICE_NS ? limit_ns : SLICE_NS);
        waited = sys_now_ns() - start;
        if (waited > limit_ns) {
            give_up_at(c, limit_ms);
        } else if (waited > grace_ns && is_my_turn(c)) {
            look_around(c);
        }
    }
    return atomic_load(&c->shared->state) == ALL_HERE;
}

bool presence_count(const char *directory, uint64_t key, int daemon, int expected,
                    uint64_t limit_ms)
{
    struct count c = {.daemon = daemon, .expected = expected};
    int n = snprintf(c.name, sizeof c.name, "%s/fastimport-%u-%016llx.ranks", directory,
                     (unsigned)getuid(), (unsigned long long)key);
    bool all;

    if (n >= (int)sizeof c.name || !open_count(&c)) {
        return true;
    }
    all = await(&c, limit_ms);
    close_count(&c);
    return all;
}

bool presence_await(const char *directory, uint64_t limit_ms)
{
    uint64_t key;
    pid_t daemon;
    int expected = place_daemon(&daemon, &key) ? place_ranks(daemon) : 0;

    return expected < 2 || presence_count(directory, key, daemon, expected, limit_ms);
}
