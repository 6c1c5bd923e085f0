/* SPDX-License-Identifier: BSD-3-Clause */
/* presence.c - see presence.h */
#include "mpi/presence.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sys.h"
#include "mpi/node_id.h"

enum answer { COUNTING, ALL_HERE, SOME_MISSING };

/* LOOKS: the daemon may still be starting ranks. */
enum { LOOKS = 3, OPENINGS = 100, NAP_MIN_NS = 20000, NAP_MAX_NS = 5000000 };

/* A wrapper that is a Python has so long to call exec. */
static const int64_t grace_ns = 2000000000;
static const int64_t look_ns = 1000000000; /* from one look at the other ranks to the next */

/* The byte that is locked by whoever decides; the ranks' bytes are those of their numbers. */
static const off_t decision = 1LL << 40;
/* Locked, for as long as it lives, by one that has given up. */
static const off_t given_up = (1LL << 40) + 1;

struct count {
    char name[512];
    const struct presence *in;
    int here; /* ranks below this number are here */
    int64_t looked;
    int fewer;    /* so often fewer processes than ranks were seen */
    bool decided; /* this rank has given up for all: the others see it by its lock */
};

static int held = -1; /* the file, until presence_done() */

/* --- the file: empty, its locks are what counts (fcntl(2), open file description locks) --- */

static int lock(short type, off_t at, off_t size)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = size};

    return sys_fcntl(held, F_OFD_SETLK, (long)&l);
}

/* False: another rank has been at it for too long (somebody has stopped it). */
static bool begin_decision(void)
{
    for (int i = 0; i < OPENINGS; i++) {
        if (lock(F_WRLCK, decision, 1) == 0) {
            return true;
        }
        sys_nap_ns(NAP_MAX_NS / 5);
    }
    return false;
}

static void end_decision(void)
{
    lock(F_UNLCK, decision, 1);
}

static bool is_locked(off_t at)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    return sys_fcntl(held, F_OFD_GETLK, (long)&l) == 0 && l.l_type != F_UNLCK;
}

static bool is_here(const struct count *c, int rank)
{
    return rank == c->in->rank || is_locked(rank);
}

static bool presence_all_are_here(struct count *c)
{
    while (c->here < c->in->ranks && is_here(c, c->here)) {
        c->here++;
    }
    return c->here == c->in->ranks;
}

static bool is_removed(void)
{
    struct stat st;

    return sys_fstat(held, &st) != 0 || st.st_nlink == 0;
}

static bool presence_is_sound(const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_uid == geteuid() && (st->st_mode & 0077) == 0 &&
           st->st_nlink <= 1 && st->st_size == 0;
}

void presence_done(void)
{
    if (held >= 0) {
        sys_close(held);
        held = -1;
    }
}

/* The file has no name any more: this was the last rank, another has seen that all are here, and
 * removed it; or it was removed before (then our lock must not be seen by those that decide). */
static bool is_complete(struct count *c)
{
    bool complete;

    if (!begin_decision()) {
        return true; /* to be found out by looking on */
    }
    c->here = 0;
    complete = presence_all_are_here(c);
    if (!complete) {
        lock(F_UNLCK, c->in->rank, 1);
    }
    end_decision();
    return complete;
}

/* Whoever removes a file that nobody waits for locks all of it before (cache/node.h): what has our
 * lock, and a name, stays. */
static bool presence_open_once(struct count *c, bool *again)
{
    struct stat st;
    int error;

    held = sys_move_high(
        sys_open(c->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    if (held < 0) {
        return false;
    }
    error = sys_fstat(held, &st) == 0 && presence_is_sound(&st) ? lock(F_WRLCK, c->in->rank, 1)
                                                                : -EPERM;
    if (error == 0 && (!is_removed() || is_complete(c))) {
        return true;
    }
    *again = error == 0 || error == -EAGAIN;
    presence_done();
    return false;
}

static bool open_count(struct count *c)
{
    bool again = true;

    for (int i = 0; i < OPENINGS && again; i++) {
        again = false;
        if (presence_open_once(c, &again)) {
            return true;
        }
        sys_nap_ns(NAP_MAX_NS / 5);
    }
    return false;
}

/* By name, which is another file's when somebody else has removed ours. */
static void presence_remove_file(const struct count *c)
{
    if (!is_removed()) {
        sys_unlink(c->name);
    }
}

/* One at a time, for all that wait: what one has seen the others see, too. */
static enum answer decide(struct count *c, bool give_up, bool *is_mine)
{
    enum answer answer = COUNTING;

    *is_mine = false;
    if (!begin_decision()) {
        return give_up ? SOME_MISSING : COUNTING;
    }
    c->here = 0;
    if (is_locked(given_up)) {
        answer = SOME_MISSING;
    } else if (presence_all_are_here(c)) {
        answer = ALL_HERE;
        presence_remove_file(c);
    } else if (give_up) {
        answer = SOME_MISSING;
        *is_mine = lock(F_WRLCK, given_up, 1) == 0;
        presence_remove_file(c);
    }
    end_decision();
    return answer;
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
static enum process presence_look_at(long pid)
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
        enum process process = end == at ? ENDED : presence_look_at(pid);

        if (end == at) {
            return o;
        }
        o.alive += process != ENDED;
        o.without_us += process == WITHOUT_US;
        at = end;
    }
}

/* --- waiting --- */

/* Of all that wait, the lowest rank looks. */
static bool is_my_turn(struct count *c, int64_t now)
{
    if (now - c->looked < look_ns) {
        return false;
    }
    c->looked = now;
    for (int i = 0; i < c->in->rank; i++) {
        if (is_here(c, i)) {
            return false;
        }
    }
    return true;
}

static int number_here(const struct count *c)
{
    int n = 0;

    for (int i = 0; i < c->in->ranks; i++) {
        n += is_here(c, i);
    }
    return n;
}

static enum answer presence_give_up(struct count *c, int missing, const char *why)
{
    bool is_mine;
    enum answer answer = decide(c, true, &is_mine);

    c->decided = is_mine;
    if (is_mine) {
        fi_log(LOG_WARN, "%d of the %d ranks of this node %s; going on without fastimport", missing,
               c->in->ranks, why);
    }
    return answer;
}

/* Those that are here are children of the daemon, or below one: a list with fewer is not whole. And
 * where this rank is below one, that of another may be a wrapper, too, and a Python. */
static enum answer presence_look_around(struct count *c)
{
    struct others o = look_at_children(c->in->daemon);
    bool is_child = getppid() == c->in->daemon;
    bool some_ended = o.alive < c->in->ranks && o.alive >= number_here(c);

    c->fewer = some_ended ? c->fewer + 1 : 0;
    if (o.without_us > 0 && is_child) {
        return presence_give_up(
            c, o.without_us, "run without this library: LD_PRELOAD has reached only some of them");
    }
    if (c->fewer >= LOOKS) {
        return presence_give_up(c, c->in->ranks - o.alive, "have ended without joining the others");
    }
    return COUNTING;
}

static enum answer give_up_at_limit(struct count *c)
{
    char why[256];

    snprintf(
        why, sizeof why,
        "are missing: not all ranks have joined within %llu ms (one may be no Python and no MPI "
        "program, or LD_PRELOAD has not reached it)",
        (unsigned long long)c->in->limit_ms);
    return presence_give_up(c, c->in->ranks - number_here(c), why);
}

static enum answer presence_look(struct count *c, int64_t waited)
{
    bool is_mine;

    if (presence_all_are_here(c) || is_locked(given_up)) {
        return decide(c, false, &is_mine);
    }
    if (waited > (int64_t)c->in->limit_ms * 1000000) {
        return give_up_at_limit(c);
    }
    return waited > grace_ns && is_my_turn(c, sys_now_ns()) ? presence_look_around(c) : COUNTING;
}

/* Naps add at most an eighth to what was waited. */
static void nap(int64_t waited)
{
    int64_t ns = waited / 8;

    sys_nap_ns(ns < NAP_MIN_NS ? NAP_MIN_NS : ns < NAP_MAX_NS ? ns : NAP_MAX_NS);
}

bool presence_count(const struct presence *in)
{
    struct count c = {.in = in};
    int64_t start = sys_now_ns();
    int n = snprintf(c.name, sizeof c.name, "%s/fastimport-%u-%016llx.ranks", in->directory,
                     (unsigned)getuid(), (unsigned long long)in->key);
    enum answer answer;

    if (n >= (int)sizeof c.name || !open_count(&c)) {
        return true;
    }
    while ((answer = presence_look(&c, sys_now_ns() - start)) == COUNTING) {
        nap(sys_now_ns() - start);
    }
    if (answer == SOME_MISSING && !c.decided) {
        presence_done();
    }
    return answer == ALL_HERE;
}

bool presence_await(const char *directory, uint64_t limit_ms)
{
    struct presence in = {.directory = directory, .limit_ms = limit_ms};
    pid_t daemon;

    if (!launcher_daemon_id(&daemon, &in.key)) {
        return true;
    }
    in.daemon = daemon;
    in.ranks = launcher_local_ranks(daemon, &in.rank);
    return in.ranks < 2 || presence_count(&in);
}
