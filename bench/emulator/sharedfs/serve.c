/* SPDX-License-Identifier: BSD-3-Clause */
/* serve.c - see serve.h */
#include "serve.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <mntent.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { UMOUNT_WAIT_MS = 10000, MAX_DESCRIPTORS = 1 << 20, TIMER_SLACK_NS = 1000 };

static const char type_prefix[] = "fuse.sharedfs@"; /* the pid of the server follows */

static int serve_fail(const char *what, const char *name)
{
    fprintf(stderr, "sharedfs: %s %s: %s\n", what, name, strerror(errno));
    return 1;
}

/* Waits until a process has ended, at most `timeout_ms` (-1: for ever). Returns true if it has. */
static bool wait_for_end(int pid, int timeout_ms)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        return errno == ESRCH;
    }
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int n;
    do {
        n = poll(&p, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    close(pidfd);
    return n == 1;
}

/*
 * Sets the read-ahead of the mount. The FUSE handshake sets it too, but cannot exceed the default
 * of the kernel; read_ahead_kb of the device can, after the handshake. A synchronous statx waits
 * for the handshake. It is not counted: fs->counting is still false.
 */
static int set_readahead(const struct fs *fs)
{
    struct statx st;
    char path[80];

    if (statx(AT_FDCWD, fs->o.mountpoint, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st) != 0) {
        return serve_fail("cannot use the new mount", fs->o.mountpoint);
    }
    snprintf(path, sizeof path, "/sys/class/bdi/%u:%u/read_ahead_kb", st.stx_dev_major,
             st.stx_dev_minor);
    FILE *f = fopen(path, "we");
    if (f == NULL) {
        return serve_fail("cannot set --readahead in", path);
    }
    fprintf(f, "%u\n", fs->o.readahead / 1024);
    return fclose(f) == 0 ? 0 : serve_fail("cannot set --readahead in", path);
}

/* Tells `sharedfs mount` that the mount is ready, and gives up its terminal and directory. */
static int report_ready(struct fs *fs)
{
    fs->counting = true;
    if (fs->ready_fd < 0) {
        return 0;
    }
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || chdir("/") != 0) {
        return serve_fail("cannot become a server for", fs->o.mountpoint);
    }
    for (int fd = 0; fd < 3; fd++) {
        dup2(null, fd);
    }
    close(null);
    return write(fs->ready_fd, "", 1) == 1 && close(fs->ready_fd) == 0 ? 0 : 1;
}

/* A thread beside the loop: sets up the mount, which must be in use for that. Then it waits for the
 * process of --until and ends the loop. */
static void *supervise(void *arg)
{
    struct fs *fs = arg;

    fs->failed = set_readahead(fs) != 0 || report_ready(fs) != 0;
    if (!fs->failed && !fs->o.until) {
        return NULL;
    }
    if (!fs->failed) {
        wait_for_end(fs->o.until, -1);
    }
    kill(getpid(), SIGTERM); /* the handler of libfuse ends the loop */
    return NULL;
}

static int start_supervisor(struct fs *fs)
{
    pthread_t thread;
    sigset_t all, old;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old); /* the main thread takes signals */
    errno = pthread_create(&thread, NULL, supervise, fs);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (errno != 0) {
        return serve_fail("cannot start a thread to serve", fs->o.mountpoint);
    }
    pthread_detach(thread);
    return 0;
}

static int serve_loop(struct fs *fs, struct fuse_session *se)
{
    struct fuse_loop_config *loop = fuse_loop_cfg_create();

    if (loop == NULL) {
        return serve_fail("cannot serve", fs->o.mountpoint);
    }
    fuse_loop_cfg_set_max_threads(loop, fs->o.threads);
    fuse_loop_cfg_set_idle_threads(loop, fs->o.threads);
    int rc = start_supervisor(fs);
    if (rc == 0) {
        rc = fuse_session_loop_mt(se, loop) < 0;
    }
    fuse_loop_cfg_destroy(loop);
    return rc != 0 || fs->failed;
}

static ssize_t device_read(int fd, void *buffer, size_t size, void *userdata)
{
    (void)userdata;
    return read(fd, buffer, size);
}

/*
 * Sets FUSE_PARALLEL_DIROPS in the first reply, which is that of the handshake: the kernel may send
 * several lookups in one directory at once, as an NFS client does. libfuse before 3.17 does not set
 * the flag (libfuse pull request 861).
 */
static ssize_t device_writev(int fd, struct iovec *parts, int count, void *userdata)
{
    struct fs *fs = userdata;

    if (!fs->shook_hands && count == 2 &&
        parts[1].iov_len >= offsetof(struct fuse_init_out, unused)) {
        ((struct fuse_init_out *)parts[1].iov_base)->flags |= FUSE_PARALLEL_DIROPS;
        fs->shook_hands = true;
    }
    return writev(fd, parts, count);
}

/* Mounts. The source has the name of the state file, so that all clients of one emulated server
 * have the same. The type holds the pid of this process, so that `sharedfs umount` waits for it. */
static int mount_device(const struct fs *fs, int device)
{
    char source[PATH_MAX + 16], type[48], data[160];
    unsigned long flags = MS_NOSUID | MS_NODEV | (fs->o.read_only ? MS_RDONLY : 0);

    snprintf(source, sizeof source, "sharedfs:%s",
             fs->o.state_path != NULL ? fs->o.state_path : "");
    snprintf(type, sizeof type, "%s%d", type_prefix, (int)getpid());
    snprintf(
        data, sizeof data,
        "fd=%d,rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other,max_read=%u",
        device, fs->o.max_read);
    if (mount(source, fs->o.mountpoint, type, flags, data) != 0) {
        return serve_fail("cannot mount (needs root) on", fs->o.mountpoint);
    }
    return 0;
}

static int serve_device(struct fs *fs, struct fuse_session *se, int device)
{
    static const struct fuse_custom_io io = {.read = device_read, .writev = device_writev};

    if (fuse_session_custom_io(se, &io, device) != 0) {
        return serve_fail("cannot use", "/dev/fuse");
    }
    if (fuse_set_signal_handlers(se) != 0) {
        return serve_fail("cannot handle signals for", fs->o.mountpoint);
    }
    int rc = mount_device(fs, device);
    if (rc == 0) {
        rc = serve_loop(fs, se);
        /* fails if an unmount has ended the loop */
        umount2(fs->o.mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW);
    }
    fuse_remove_signal_handlers(se);
    return rc;
}

static int serve_session(struct fs *fs)
{
    struct fuse_lowlevel_ops ops = {0};
    char max_read[32], *argv[] = {"sharedfs", "-o", max_read, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(3, argv);

    snprintf(max_read, sizeof max_read, "max_read=%u", fs->o.max_read);
    fs_read_handlers(&ops);
    fs_write_handlers(&ops);
    int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device < 0) {
        return serve_fail("cannot open (modprobe fuse?)", "/dev/fuse");
    }
    struct fuse_session *se = fuse_session_new(&args, &ops, sizeof ops, fs);
    int rc = se != NULL ? serve_device(fs, se, device)
                        : serve_fail("cannot start FUSE for", fs->o.mountpoint);
    if (se != NULL) {
        fuse_session_destroy(se); /* closes the device */
    }
    fuse_opt_free_args(&args);
    return rc;
}

static int open_source(struct fs *fs)
{
    fs->root.fd = open(fs->o.source, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fs->root.fd < 0) {
        return serve_fail("cannot open source directory", fs->o.source);
    }
    fs->state = sfs_state_map(fs->o.state_path, 1);
    if (fs->state == NULL) {
        return serve_fail("not a usable state file (remove it to start anew):", fs->o.state_path);
    }
    if (fs->o.log_path != NULL) {
        fs->log_fd = open(fs->o.log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
        if (fs->log_fd < 0) {
            return serve_fail("cannot write log", fs->o.log_path);
        }
    }
    atomic_fetch_add(&fs->state->node[fs->o.node].mounts, 1);
    return 0;
}

/* Raises the limit of descriptors: each file that the kernel knows takes one. */
static void raise_limits(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        if (geteuid() == 0) {
            r.rlim_cur = r.rlim_max = MAX_DESCRIPTORS;
        }
        setrlimit(RLIMIT_NOFILE, &r);
    }
    prctl(PR_SET_TIMERSLACK, (unsigned long)TIMER_SLACK_NS); /* costs are tens of microseconds */
    umask(0);
}

static int serve_here(const struct fs_options *options, int ready_fd)
{
    struct fs *fs = calloc(1, sizeof *fs);

    if (fs == NULL) {
        return serve_fail("cannot serve", options->mountpoint);
    }
    fs->o = *options;
    fs->log_fd = -1;
    fs->ready_fd = ready_fd;
    fs->started = sfs_now();
    pthread_mutex_init(&fs->lock, NULL);
    if (fs->o.dilate > 1 && (fs->pace = pace_new(fs->o.dilate)) == NULL) {
        free(fs);
        return serve_fail("cannot serve", options->mountpoint);
    }
    raise_limits();
    int rc = open_source(fs);
    if (rc == 0) {
        rc = serve_session(fs);
    }
    free(fs->pace);
    free(fs);
    return rc;
}

static int await_ready(int ready_fd, pid_t child)
{
    char byte;
    int status;

    if (read(ready_fd, &byte, 1) == 1) {
        return 0;
    }
    if (waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status)) {
        return WEXITSTATUS(status);
    }
    fprintf(stderr, "sharedfs: the server ended before it was ready\n");
    return 1;
}

static int serve_in_background(const struct fs_options *options)
{
    int ready[2];

    if (pipe2(ready, O_CLOEXEC) != 0) {
        return serve_fail("cannot start a server for", options->mountpoint);
    }
    pid_t child = fork();
    if (child < 0) {
        return serve_fail("cannot start a server for", options->mountpoint);
    }
    if (child == 0) {
        setsid();
        close(ready[0]);
        return serve_here(options, ready[1]);
    }
    close(ready[1]);
    return await_ready(ready[0], child);
}

int serve_mount(const struct fs_options *options)
{
    struct fs_options o = *options;
    char *mountpoint = realpath(o.mountpoint, NULL);

    if (mountpoint == NULL) {
        return serve_fail("cannot mount on", o.mountpoint);
    }
    o.mountpoint = mountpoint;
    int rc = o.foreground ? serve_here(&o, -1) : serve_in_background(&o);
    free(mountpoint);
    return rc;
}

/* The pid in the type of a mount; 0 if the mount is no sharedfs. */
static int pid_of_type(const char *type)
{
    const size_t length = sizeof type_prefix - 1;

    return strncmp(type, type_prefix, length) == 0 ? (int)strtol(type + length, NULL, 10) : 0;
}

/* The pid of the sharedfs that serves a mount point; 0 if none does. The last mount is on top. */
static int server_of(const char *mountpoint)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    struct mntent *m;
    int pid = 0;

    if (mounts == NULL) {
        return 0;
    }
    while ((m = getmntent(mounts)) != NULL) {
        if (strcmp(m->mnt_dir, mountpoint) == 0) {
            pid = pid_of_type(m->mnt_type);
        }
    }
    endmntent(mounts);
    return pid;
}

/* The absolute path of a mount point, or NULL; the caller frees it. Only the parent is resolved:
 * the server of the mount itself may be dead, and would not answer. */
static char *absolute(const char *mountpoint)
{
    char *copy = strdup(mountpoint), *path = NULL;

    while (copy != NULL && strlen(copy) > 1 && copy[strlen(copy) - 1] == '/') {
        copy[strlen(copy) - 1] = '\0';
    }
    char *slash = copy != NULL ? strrchr(copy, '/') : NULL;
    const char *name = slash != NULL ? slash + 1 : copy;
    const char *folder = slash == NULL ? "." : slash == copy ? "/" : copy;
    if (slash != NULL) {
        *slash = '\0';
    }
    char *parent = copy != NULL ? realpath(folder, NULL) : NULL;
    if (parent != NULL &&
        asprintf(&path, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, name) < 0) {
        path = NULL;
    }
    free(parent);
    free(copy);
    return path;
}

int serve_umount(const char *mountpoint)
{
    char *path = absolute(mountpoint);
    int pid = path != NULL ? server_of(path) : 0;
    int rc = 1;

    if (pid == 0) {
        fprintf(stderr, "sharedfs: no sharedfs is mounted on %s\n", mountpoint);
    } else {
        rc = umount2(path, UMOUNT_NOFOLLOW) == 0 ? 0 : serve_fail("cannot unmount", path);
    }
    if (rc == 0 && !wait_for_end(pid, UMOUNT_WAIT_MS)) {
        fprintf(stderr, "sharedfs: %s is unmounted, but its server, process %d, does not end\n",
                path, pid);
        rc = 1;
    }
    free(path);
    return rc;
}
