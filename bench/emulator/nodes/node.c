/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * node.c - emulated-node, which the launcher hydra runs instead of ssh, once for each node:
 *
 *     emulated-node [OPTIONS] HOST COMMAND...
 *
 * It runs COMMAND (hydra's proxy) in a mount namespace of its own, in which it mounts a fresh
 * sharedfs client, and returns the exit code of COMMAND. A shell splits COMMAND into words, as the
 * remote shell of ssh does.
 *
 * A node ends when its job ends, when emulated-node receives a signal, or when mpiexec dies. Then
 * emulated-node kills all processes of the node, unmounts the client and reaps the client's server.
 * If emulated-node itself is killed, the kernel kills the proxy (PR_SET_PDEATHSIG) and the client
 * unmounts itself (sharedfs --until).
 *
 * HOST ends in the number of the node: n0, n1. Only mounts are private. With private network or UTS
 * namespaces, MPICH would communicate by TCP, and MPI_Finalize would hang now and then.
 *
 * mpiexec-nodes sets these environment variables:
 *   EMULATED_NODE_SHARE    arguments of `sharedfs mount`, one a line; unset: nothing is mounted
 *   EMULATED_NODE_MOUNT    the mount point
 *   EMULATED_NODE_BIND     a directory with a staged copy for each node, named by the number of the
 *                          node; the node sees its copy at EMULATED_NODE_MOUNT
 *   EMULATED_NODE_PROLOG   a command for sh, which runs before COMMAND; if it fails, the job ends
 *   EMULATED_NODE_EPILOG   the same after COMMAND, when the node's processes have ended
 *                          Both find the number of the node in EMULATED_NODE.
 *   EMULATED_NODE_TMPFS    DIR=SIZE: each node has a private tmpfs of this size on DIR (SIZE as in
 *                          mount's size=)
 */
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_WORDS = 64, MAX_CHILDREN = 1024, GRACE_SECONDS = 3 };

struct node {
    const char *number;
    const char *mountpoint; /* NULL: no client is mounted */
    pid_t server;           /* the process that serves the client's mount */
    pid_t proxy;
};

static int node_fail(const char *what, const char *name)
{
    fprintf(stderr, "emulated-node: %s %s: %s\n", what, name, strerror(errno));
    return 1;
}

/* The exit code for a wait status, as a shell has it: 128 + N after signal N. */
static int code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Runs a program, waits for it, and returns its exit code. */
static int node_run(char *const argv[])
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        execv(argv[0], argv);
        _exit(node_fail("cannot run", argv[0]));
    }
    while (child > 0 && waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            return node_fail("cannot wait for", argv[0]);
        }
    }
    return child > 0 ? code_of(status) : node_fail("cannot start", argv[0]);
}

/* Lists the children of this process, adopted orphans included. Returns how many, at most `max`. */
static int children(pid_t *out, int max)
{
    char path[64];
    int n = 0;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "re");
    char word[24];
    while (f != NULL && n < max && fscanf(f, "%23s", word) == 1) {
        out[n++] = (pid_t)strtol(word, NULL, 10);
    }
    if (f != NULL) {
        fclose(f);
    }
    return n;
}

/* The sharedfs that was built beside this program. */
static const char *sharedfs_program(void)
{
    static char path[PATH_MAX + 16];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);

    path[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(path, '/');
    strcpy(slash != NULL ? slash + 1 : path, "sharedfs");
    return path;
}

/* Mounts the client of this node. `sharedfs mount` leaves its server as an orphan, which becomes a
 * child of this process (PR_SET_CHILD_SUBREAPER). */
static int mount_client(struct node *node, char *share, const char *mountpoint)
{
    char until[16], *argv[MAX_WORDS] = {(char *)sharedfs_program(), "mount"};
    int n = 2;

    for (char *word = strtok(share, "\n"); word != NULL && n < MAX_WORDS - 5;
         word = strtok(NULL, "\n")) {
        argv[n++] = word;
    }
    snprintf(until, sizeof until, "%d", (int)getpid());
    argv[n++] = "--node";
    argv[n++] = (char *)node->number;
    argv[n++] = "--until";
    argv[n++] = until;
    int rc = node_run(argv);
    if (rc != 0) {
        return rc;
    }
    if (children(&node->server, 1) != 1) {
        errno = ECHILD;
        return node_fail("no server for", mountpoint);
    }
    node->mountpoint = mountpoint;
    return 0;
}

static int mount_tmpfs(char *spec)
{
    char options[80], *equals = strchr(spec, '=');

    if (equals == NULL) {
        errno = EINVAL;
        return node_fail("EMULATED_NODE_TMPFS is DIR=SIZE, not", spec);
    }
    *equals = '\0';
    snprintf(options, sizeof options, "mode=1777,size=%s", equals + 1);
    if (mount("tmpfs", spec, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) {
        return node_fail("cannot mount a tmpfs on", spec);
    }
    return 0;
}

/* Shows the node its own staged copy at the mount point. */
static int bind_copy(const struct node *node, const char *copies, const char *mountpoint)
{
    char copy[PATH_MAX];

    if (snprintf(copy, sizeof copy, "%s/%s", copies, node->number) >= (int)sizeof copy) {
        errno = ENAMETOOLONG;
        return node_fail("cannot show", copies);
    }
    if (mount(copy, mountpoint, NULL, MS_BIND, NULL) != 0) {
        return node_fail("cannot show a staged copy:", copy);
    }
    return 0;
}

/* Runs the command in an environment variable, if it is set. Returns its exit code. */
static int run_script(const struct node *node, const char *variable)
{
    char *argv[] = {"/bin/sh", "-c", getenv(variable), NULL};

    setenv("EMULATED_NODE", node->number, 1);
    return argv[2] != NULL ? node_run(argv) : 0;
}

/* A writable copy of an environment variable, or NULL; the caller frees it. */
static char *setting(const char *name)
{
    const char *value = getenv(name);
    return value != NULL ? strdup(value) : NULL;
}

static int make_private(const struct node *node)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1ul) != 0) {
        return node_fail("cannot adopt processes of node", node->number);
    }
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) {
        return node_fail("cannot make mounts private (needs root) of node", node->number);
    }
    return 0;
}

static int node_set_up(struct node *node)
{
    char *share = setting("EMULATED_NODE_SHARE"), *tmpfs = setting("EMULATED_NODE_TMPFS");
    const char *mountpoint = getenv("EMULATED_NODE_MOUNT"), *copies = getenv("EMULATED_NODE_BIND");
    int rc = make_private(node);

    if (rc == 0 && tmpfs != NULL) {
        rc = mount_tmpfs(tmpfs);
    }
    if (rc == 0 && share != NULL && mountpoint != NULL) {
        rc = mount_client(node, share, mountpoint);
    }
    if (rc == 0 && copies != NULL && mountpoint != NULL) {
        rc = bind_copy(node, copies, mountpoint);
    }
    if (rc == 0) {
        rc = run_script(node, "EMULATED_NODE_PROLOG");
    }
    free(share);
    free(tmpfs);
    return rc;
}

/* Joins the words with blanks, as ssh does, into a command for sh. NULL without memory. */
static char *join_words(char **words)
{
    size_t size = 8;
    for (char **w = words; *w != NULL; w++) {
        size += strlen(*w) + 1;
    }
    char *line = malloc(size);
    if (line == NULL) {
        return NULL;
    }
    strcpy(line, "exec");
    for (char **w = words; *w != NULL; w++) {
        strcat(line, " ");
        strcat(line, *w);
    }
    return line;
}

static int start_proxy(struct node *node, char **words, const sigset_t *unblocked)
{
    char *line = join_words(words);
    pid_t parent = getpid();

    node->proxy = line != NULL ? fork() : -1;
    if (node->proxy == 0) {
        sigprocmask(SIG_SETMASK, unblocked, NULL);
        prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL);
        if (getppid() != parent) {
            _exit(1);
        }
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(node_fail("cannot run", "/bin/sh"));
    }
    free(line);
    return node->proxy > 0 ? 0 : node_fail("cannot start the proxy of node", node->number);
}

/* Reaps every child that has ended. Returns true and the status if the proxy is one of them. */
static bool reap(const struct node *node, int *status)
{
    bool ended = false;
    int s;
    for (pid_t pid; (pid = waitpid(-1, &s, WNOHANG)) > 0;) {
        if (pid == node->proxy) {
            *status = s;
            ended = true;
        }
    }
    return ended;
}

/* Waits for the proxy and returns an exit code. After a signal the proxy receives SIGTERM and has
 * GRACE_SECONDS to end. */
static int attend(const struct node *node, const sigset_t *signals)
{
    struct timespec grace = {.tv_sec = GRACE_SECONDS};
    int status = 0, asked = 0;

    while (!reap(node, &status)) {
        int sig = asked ? sigtimedwait(signals, NULL, &grace) : sigwaitinfo(signals, NULL);
        if (sig < 0 && errno == EAGAIN) {
            return 128 + asked;
        }
        if (sig > 0 && sig != SIGCHLD && !asked) {
            asked = sig;
            kill(node->proxy, SIGTERM);
        }
    }
    return asked ? 128 + asked : code_of(status);
}

/* Kills all processes of the node except the client's server. No process escapes: an orphan becomes
 * a child of this process. */
static void kill_all(const struct node *node)
{
    pid_t pids[MAX_CHILDREN];
    int left, status;

    do {
        left = 0;
        int n = children(pids, MAX_CHILDREN);
        for (int i = 0; i < n; i++) {
            if (pids[i] != node->server) {
                kill(pids[i], SIGKILL);
                waitpid(pids[i], &status, 0);
                left++;
            }
        }
    } while (left > 0);
}

static void node_tear_down(const struct node *node)
{
    int status;

    kill_all(node);
    run_script(node, "EMULATED_NODE_EPILOG");
    if (node->mountpoint == NULL) {
        return;
    }
    if (umount2(node->mountpoint, UMOUNT_NOFOLLOW) != 0) {
        node_fail("cannot unmount", node->mountpoint);
        umount2(node->mountpoint, MNT_DETACH);
        kill(node->server, SIGTERM);
    }
    while (waitpid(node->server, &status, 0) < 0 && errno == EINTR) {
        ;
    }
}

/* The number at the end of a host's name, or NULL. */
static const char *number_of(const char *host)
{
    const char *digits = host + strcspn(host, "0123456789");
    return *digits && digits[strspn(digits, "0123456789")] == '\0' ? digits : NULL;
}

int main(int argc, char **argv)
{
    struct node node = {.server = -1};
    sigset_t signals, old;
    pid_t parent = getppid();
    int i = 1;

    unsetenv("LD_PRELOAD"); /* as ssh, which does not pass them on */
    unsetenv("LD_LIBRARY_PATH");
    while (i < argc && argv[i][0] == '-') {
        i++;
    }
    if (argc - i < 2 || (node.number = number_of(argv[i])) == NULL) {
        fprintf(stderr, "usage: emulated-node [OPTIONS] HOST COMMAND..., with a host such as n0; "
                        "see mpiexec-nodes\n");
        return 2;
    }
    sigemptyset(&signals);
    for (const int *s = (const int[]){SIGCHLD, SIGTERM, SIGINT, SIGHUP, 0}; *s; s++) {
        sigaddset(&signals, *s);
    }
    int rc = node_set_up(&node);
    sigprocmask(SIG_BLOCK, &signals, &old);
    prctl(PR_SET_PDEATHSIG, (unsigned long)SIGTERM); /* when mpiexec dies */
    if (rc != 0) {
        kill(parent, SIGTERM); /* without a proxy, hydra would wait for ever */
    } else if (getppid() == parent) {
        rc = start_proxy(&node, argv + i + 1, &old);
    }
    if (rc == 0 && node.proxy > 0) {
        rc = attend(&node, &signals);
    }
    node_tear_down(&node);
    return rc;
}
