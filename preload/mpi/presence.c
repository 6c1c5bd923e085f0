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

enum {
    LOOKS = 3, /* so often in a row ranks must be missing: the daemon may still be starting some */
    TRIES = 100,
    NAP_MIN_NS = 20000,
    NAP_MAX_NS = 5000000
};

/* How long the other ranks are not looked at: a wrapper that is a Python itself needs time to call
 * exec. */
static const int64_t grace_ns = 2000000000;
static const int64_t look_ns = 1000000000; /* from one look at the other ranks to the next */

/* Offsets in the file. A rank locks the byte of its number; `decision` is locked by the rank that
 * decides. */
static const off_t decision = 1LL << 40;
/* Locked by the rank that has given up, for as long as it lives. */
static const off_t given_up = (1LL << 40) + 1;

struct count {
    char name[512];
    const struct presence *in;
    int here;       /* all ranks below this number are here */
    int64_t looked; /* when other ranks were last looked at */
    int fewer;      /* so often in a row there were fewer processes than ranks */
    /* this rank has given up for all: it keeps the lock by which the others see that */
    bool decided;
};

static int count_file = -1; /* descriptor of the file; -1: not open */

/* --- the file: only its locks matter (fcntl(2), open file description locks) --- */

static int presence_lock(short type, off_t at, off_t size)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = size};

    return sys_fcntl(count_file, F_OFD_SETLK, (long)&l);
}

/* False: another rank has held the lock for too long; somebody has stopped it, perhaps. */
static bool begin_decision(void)
{
    for (int i = 0; i < TRIES; i++) {
        if (presence_lock(F_WRLCK, decision, 1) == 0) {
            return true;
        }
        sys_nap_ns(NAP_MAX_NS / 5);
    }
    return false;
}

static void end_decision(void)
{
    presence_lock(F_UNLCK, decision, 1);
}

static bool is_locked(off_t at)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    return sys_fcntl(count_file, F_OFD_GETLK, (long)&l) == 0 && l.l_type != F_UNLCK;
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

    return sys_fstat(count_file, &st) != 0 || st.st_nlink == 0;
}

static bool presence_is_sound(const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_uid == geteuid() && (st->st_mode & 0077) == 0 &&
           st->st_nlink <= 1 && st->st_size == 0;
}

void presence_done(void)
{
    if (count_file >= 0) {
        sys_close(count_file);
        count_file = -1;
    }
}

/* For a file that has no name any more. Either this was the last rank, and another one has found
 * that all are here and removed the file: true. Or it was removed before that: false, and this
 * rank's lock must go, so that those who decide do not see it. */
static bool is_complete(struct count *c)
{
    bool complete;

    if (!begin_decision()) {
        return true; /* not known: presence_look() finds it out */
    }
    c->here = 0;
    complete = presence_all_are_here(c);
    if (!complete) {
        presence_lock(F_UNLCK, c->in->rank, 1);
    }
    end_decision();
    return complete;
}

/* node_sweep() locks all of a file before it removes it (cache/node.h): so a file that has this
 * rank's lock, and a name, stays. */
static bool presence_open_once(struct count *c, bool *again)
{
    struct stat st;
    int error;

    count_file = sys_move_high(
        sys_open(c->name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    if (count_file < 0) {
        return false;
    }
    error = sys_fstat(count_file, &st) == 0 && presence_is_sound(&st)
                ? presence_lock(F_WRLCK, c->in->rank, 1)
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

    for (int i = 0; i < TRIES && again; i++) {
        again = false;
        if (presence_open_once(c, &again)) {
            return true;
        }
        sys_nap_ns(NAP_MAX_NS / 5);
    }
    return false;
}

/* The name may be another file's by now, if somebody else has removed this one. */
static void presence_remove_file(const struct count *c)
{
    if (!is_removed()) {
        sys_unlink(c->name);
    }
}

/* Only one rank at a time decides, and for all: what it decides the others see in the file. */
static enum answer presence_decide(struct count *c, bool give_up, bool *is_mine)
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
        *is_mine = presence_lock(F_WRLCK, given_up, 1) == 0;
        presence_remove_file(c);
    }
    end_decision();
    return answer;
}

/* --- other ranks of the daemon --- */

struct mapped_kinds {
    bool is_rank;   /* has Python or an MPI library mapped */
    bool is_loaded; /* ld.so has mapped libc, and so all that is preloaded */
    bool is_ours;   /* has fastimport mapped */
};

/* A line of /proc/PID/maps (proc(5)). */
static void note_mapping(const char *line, struct mapped_kinds *found)
{
    const char *slash = strrchr(line, '/');
    const char *name = slash == NULL ? "" : slash + 1;

    found->is_ours |= strncmp(name, "libfastimport", strlen("libfastimport")) == 0;
    found->is_loaded |= strncmp(name, "libc.", strlen("libc.")) == 0 ||
                        strncmp(name, "libc-", strlen("libc-")) == 0;
    found->is_rank |= strncmp(name, "python", strlen("python")) == 0 ||
                      strncmp(name, "libpython", strlen("libpython")) == 0 ||
                      strncmp(name, "libmpi", strlen("libmpi")) == 0;
}

/* text: whole lines, as the kernel returns them. */
static void note_mappings(char *text, struct mapped_kinds *found)
{
    char *rest = text;

    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        note_mapping(line, found);
    }
}

enum process { ENDED, OTHER, WITHOUT_US };

/* WITHOUT_US: a Python or an MPI program, surely without fastimport, because preloaded libraries
 * are mapped before libc. A process that has ended, and a zombie, has nothing mapped. */
static enum process presence_look_at(long pid)
{
    char text[8192];
    struct mapped_kinds found = {false};
    ssize_t n = 0;
    off_t at = 0;
    int fd;

    snprintf(text, sizeof text, "/proc/%ld/maps", pid);
    fd = sys_open(text, O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0) {
        return fd == -ENOENT || fd == -ESRCH ? ENDED : OTHER;
    }
    for (; (n = sys_pread(fd, text, sizeof text - 1, at)) > 0; at += n) {
        text[n] = '\0';
        note_mappings(text, &found);
    }
    sys_close(fd);
    if (n < 0) {
        return n == -ESRCH ? ENDED : OTHER;
    }
    if (at == 0) {
        return ENDED;
    }
    return found.is_rank && found.is_loaded && !found.is_ours ? WITHOUT_US : OTHER;
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

/* Of all ranks that wait, only the lowest one looks at the other processes, once in look_ns. */
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
    enum answer answer = presence_decide(c, true, &is_mine);

    c->decided = is_mine;
    if (is_mine) {
        fi_log(LOG_WARN, "%d of the %d ranks of this node %s; going on without fastimport", missing,
               c->in->ranks, why);
    }
    return answer;
}

/* Looks at the daemon's children for a reason to give up. All ranks that are here are children of
 * the daemon or descendants of one, so a list with fewer processes is not complete. If this rank is
 * not itself a child, others may be below a wrapper, too, which may be a Python: then a child
 * without fastimport proves nothing. */
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
        return presence_decide(c, false, &is_mine);
    }
    if (waited > (int64_t)c->in->limit_ms * 1000000) {
        return give_up_at_limit(c);
    }
    return waited > grace_ns && is_my_turn(c, sys_now_ns()) ? presence_look_around(c) : COUNTING;
}

/* Naps add at most an eighth to the time waited. */
static void presence_nap(int64_t waited)
{
    int64_t ns = waited / 8;

    if (ns < NAP_MIN_NS) {
        ns = NAP_MIN_NS;
    } else if (ns > NAP_MAX_NS) {
        ns = NAP_MAX_NS;
    }
    sys_nap_ns(ns);
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
        presence_nap(sys_now_ns() - start);
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
