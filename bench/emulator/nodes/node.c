/*
 * emulated-node: what hydra calls instead of ssh, once a node: `emulated-node [OPTIONS] HOST
 * COMMAND...`.
 *
 * Runs COMMAND (hydra's proxy, joined and split by a shell as ssh would) in a mount namespace of
 * its own with a freshly mounted sharedfs client, and returns its exit code. Whatever ends the node
 * - the job's end, a signal, the death of mpiexec - its processes are killed, the client is
 * unmounted and its server reaped. If this process itself is killed, the proxy dies with it and the
 * client unmounts itself (sharedfs --until).
 *
 * HOST is a name followed by the node's number, as n0, n1. Only mounts are private: with network or
 * UTS namespaces too, MPICH's traffic goes over TCP and MPI_Finalize hangs now and then.
 *
 * The environment, set by mpiexec-nodes:
 *   EMULATED_NODE_SHARE    arguments of `sharedfs mount`, a line each; unset: nothing is mounted
 *   EMULATED_NODE_MOUNT    the mount point among them
 *   EMULATED_NODE_BIND     a directory that holds one per node, named by its number, which is seen
 * at EMULATED_NODE_MOUNT instead: a copy that was staged to the node EMULATED_NODE_TMPFS DIR=SIZE:
 * a private tmpfs of that size (as mount's size=) on DIR; unset: none
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

enum { MAX_WORDS = 64, GRACE_SECONDS = 3 };

struct node {
    const char *number;
    const char *mountpoint; /* NULL: no client is mounted */
    pid_t server;           /* of the client */
    pid_t proxy;
};

static int fail(const char *what, const char *name)
{
    fprintf(stderr, "emulated-node: %s %s: %s\n", what, name, strerror(errno));
    return 1;
}

/* Runs a program and returns its exit code; 128 + N after signal N. */
static int code_of(int status)
{
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int run(char *const argv[])
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        execv(argv[0], argv);
        _exit(fail("cannot run", argv[0]));
    }
    while (child > 0 && waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return fail("cannot wait for", argv[0]);
    return child > 0 ? code_of(status) : fail("cannot start", argv[0]);
}

/* Our children, orphans of the node included; at most `max`. */
static int children(pid_t *out, int max)
{
    char path[64];
    int n = 0;

    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    FILE *f = fopen(path, "re");
    char word[24];
    while (f && n < max && fscanf(f, "%23s", word) == 1)
        out[n++] = (pid_t)strtol(word, NULL, 10);
    if (f)
        fclose(f);
    return n;
}

static const char *sharedfs_program(void)
{
    static char path[PATH_MAX + 16];
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);

    path[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(path, '/');
    strcpy(slash ? slash + 1 : path, "sharedfs");
    return path;
}

/* Mounts this node's client; its server is our child afterwards, as we adopt orphans. */
static int mount_client(struct node *node, char *share, const char *mountpoint)
{
    char until[16], *argv[MAX_WORDS] = {(char *)sharedfs_program(), "mount"};
    int n = 2;

    for (char *word = strtok(share, "\n"); word && n < MAX_WORDS - 5; word = strtok(NULL, "\n"))
        argv[n++] = word;
    snprintf(until, sizeof until, "%d", (int)getpid());
    argv[n++] = "--node";
    argv[n++] = (char *)node->number;
    argv[n++] = "--until";
    argv[n++] = until;
    int rc = run(argv);
    if (rc != 0)
        return rc;
    if (children(&node->server, 1) != 1) {
        errno = ECHILD;
        return fail("no server for", mountpoint);
    }
    node->mountpoint = mountpoint;
    return 0;
}

static int mount_tmpfs(char *spec)
{
    char options[80], *equals = strchr(spec, '=');

    if (!equals) {
        errno = EINVAL;
        return fail("EMULATED_NODE_TMPFS is DIR=SIZE, not", spec);
    }
    *equals = '\0';
    snprintf(options, sizeof options, "mode=1777,size=%s", equals + 1);
    if (mount("tmpfs", spec, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0)
        return fail("cannot mount a tmpfs on", spec);
    return 0;
}

/* The node's own copy, seen where the others are. */
static int bind_copy(const struct node *node, const char *copies, const char *mountpoint)
{
    char copy[PATH_MAX];

    if (snprintf(copy, sizeof copy, "%s/%s", copies, node->number) >= (int)sizeof copy) {
        errno = ENAMETOOLONG;
        return fail("cannot show", copies);
    }
    if (mount(copy, mountpoint, NULL, MS_BIND, NULL) != 0)
        return fail("cannot show a staged copy:", copy);
    return 0;
}

/* A copy of a setting, as it is cut up; NULL if it is not there. */
static char *setting(const char *name)
{
    const char *value = getenv(name);
    return value ? strdup(value) : NULL;
}

static int make_private(const struct node *node)
{
    if (prctl(PR_SET_CHILD_SUBREAPER, 1ul) != 0)
        return fail("cannot adopt processes of node", node->number);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return fail("cannot make mounts private (needs root) of node", node->number);
    return 0;
}

static int set_up(struct node *node)
{
    char *share = setting("EMULATED_NODE_SHARE"), *tmpfs = setting("EMULATED_NODE_TMPFS");
    const char *mountpoint = getenv("EMULATED_NODE_MOUNT"), *copies = getenv("EMULATED_NODE_BIND");
    int rc = make_private(node);

    if (rc == 0 && tmpfs)
        rc = mount_tmpfs(tmpfs);
    if (rc == 0 && share && mountpoint)
        rc = mount_client(node, share, mountpoint);
    if (rc == 0 && copies && mountpoint)
        rc = bind_copy(node, copies, mountpoint);
    free(share);
    free(tmpfs);
    return rc;
}

/* Joins the words with blanks, as ssh does. */
static char *join(char **words)
{
    size_t size = 8;
    for (char **w = words; *w; w++)
        size += strlen(*w) + 1;
    char *line = malloc(size);
    if (!line)
        return NULL;
    strcpy(line, "exec");
    for (char **w = words; *w; w++) {
        strcat(line, " ");
        strcat(line, *w);
    }
    return line;
}

static int start_proxy(struct node *node, char **words, const sigset_t *unblocked)
{
    char *line = join(words);
    pid_t parent = getpid();

    node->proxy = line ? fork() : -1;
    if (node->proxy == 0) {
        sigprocmask(SIG_SETMASK, unblocked, NULL);
        prctl(PR_SET_PDEATHSIG, (unsigned long)SIGKILL);
        if (getppid() != parent)
            _exit(1);
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
        _exit(fail("cannot run", "/bin/sh"));
    }
    free(line);
    return node->proxy > 0 ? 0 : fail("cannot start the proxy of node", node->number);
}

/* Reaps what has ended; true, with its status, if the proxy has. */
static bool reap(const struct node *node, int *status)
{
    bool ended = false;
    int s;
    for (pid_t pid; (pid = waitpid(-1, &s, WNOHANG)) > 0;)
        if (pid == node->proxy) {
            *status = s;
            ended = true;
        }
    return ended;
}

/* Waits for the proxy. After a signal it is asked to end, and has a little time for it. Returns an
 * exit code. */
static int attend(const struct node *node, const sigset_t *signals)
{
    struct timespec grace = {.tv_sec = GRACE_SECONDS};
    int status = 0, asked = 0;

    while (!reap(node, &status)) {
        int sig = asked ? sigtimedwait(signals, NULL, &grace) : sigwaitinfo(signals, NULL);
        if (sig < 0 && errno == EAGAIN)
            return 128 + asked;
        if (sig > 0 && sig != SIGCHLD && !asked) {
            asked = sig;
            kill(node->proxy, SIGTERM);
        }
    }
    return asked ? 128 + asked : code_of(status);
}

/* Kills all processes of the node but the client's server. Orphans become our children, so none
 * gets away. */
static void kill_all(const struct node *node)
{
    pid_t pids[1024];
    int left, status;

    do {
        left = 0;
        int n = children(pids, 1024);
        for (int i = 0; i < n; i++)
            if (pids[i] != node->server) {
                kill(pids[i], SIGKILL);
                waitpid(pids[i], &status, 0);
                left++;
            }
    } while (left);
}

static void tear_down(const struct node *node)
{
    int status;

    kill_all(node);
    if (!node->mountpoint)
        return;
    if (umount2(node->mountpoint, UMOUNT_NOFOLLOW) != 0) {
        fail("cannot unmount", node->mountpoint);
        umount2(node->mountpoint, MNT_DETACH);
        kill(node->server, SIGTERM);
    }
    while (waitpid(node->server, &status, 0) < 0 && errno == EINTR)
        ;
}

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

    unsetenv("LD_PRELOAD"); /* ssh does not carry the environment either */
    unsetenv("LD_LIBRARY_PATH");
    while (i < argc && argv[i][0] == '-')
        i++;
    if (argc - i < 2 || !(node.number = number_of(argv[i]))) {
        fprintf(stderr, "usage: emulated-node [OPTIONS] HOST COMMAND..., with a host such as n0; "
                        "see mpiexec-nodes\n");
        return 2;
    }
    sigemptyset(&signals);
    for (const int *s = (const int[]){SIGCHLD, SIGTERM, SIGINT, SIGHUP, 0}; *s; s++)
        sigaddset(&signals, *s);
    int rc = set_up(&node);
    sigprocmask(SIG_BLOCK, &signals, &old);
    prctl(PR_SET_PDEATHSIG, (unsigned long)SIGTERM); /* of mpiexec */
    if (rc != 0)
        kill(parent, SIGTERM); /* hydra would wait for its proxy for ever */
    else if (getppid() == parent)
        rc = start_proxy(&node, argv + i + 1, &old);
    if (rc == 0 && node.proxy > 0)
        rc = attend(&node, &signals);
    tear_down(&node);
    return rc;
}
