/* SPDX-License-Identifier: BSD-3-Clause */
/* check_environment.c - which Python, on which file system, and which MPI library; see check.h */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "command/capture.h"
#include "command/check.h"
#include "command/place.h"
#include "mpi/bind.h"
#include "policy/mounts.h"

/* --- the interpreter --- */

static bool find_interpreter(struct check *c)
{
    static const char *const usual[] = {"python3", "python"};

    if (c->python != NULL) {
        return place_program(c->python, c->program, sizeof c->program);
    }
    for (size_t i = 0; i < 2; i++) {
        if (place_program(usual[i], c->program, sizeof c->program)) {
            return true;
        }
    }
    return false;
}

/* What the interpreter says of itself, a line each. */
static bool ask_interpreter(const struct check *c, char *answer, size_t size)
{
    static char question[] = "import sys; print(sys.prefix); print(sys.base_prefix); "
                             "print('%d.%d' % sys.version_info[:2])";
    char *words[] = {(char *)c->program, (char *)"-c", question, NULL};

    return capture_program(words, 60, answer, size) == 0;
}

/* --- file systems --- */

static bool check_is_on_network(const char *mountinfo, const char *path, char *type, size_t size)
{
    char real[FI_PATH_MAX];
    struct mount_place place;

    snprintf(type, size, "nothing");
    if (sys_canonical(path, real, sizeof real) != 0) {
        return false;
    }
    mounts_find(mountinfo, real, &place);
    snprintf(type, size, "%s", place.type);
    return mounts_is_network(place.type);
}

/* Of a list with colons, the elements on network file systems: adds them to `found`. */
static void add_on_network(const char *mountinfo, const char *list, char *found, size_t size)
{
    char *copy = list == NULL ? NULL : strdup(list);
    char type[MOUNT_TYPE_MAX];
    char *save = NULL;

    for (char *p = copy == NULL ? NULL : strtok_r(copy, ":", &save); p != NULL;
         p = strtok_r(NULL, ":", &save)) {
        size_t n = strlen(found);

        if (check_is_on_network(mountinfo, p, type, sizeof type) && n + strlen(p) + 8 < size) {
            snprintf(found + n, size - n, "%s%s", n == 0 ? "" : ", ", p);
        }
    }
    free(copy);
}

static void say_where(struct check *c, const char *base, const char *version)
{
    const char *const lists[] = {base, getenv("PYTHONPATH"), getenv("LD_LIBRARY_PATH"),
                                 getenv("CONDA_PREFIX"), c->config.path};
    char *mountinfo = mounts_read();
    char type[MOUNT_TYPE_MAX];
    char others[1024] = "";
    bool network =
        mountinfo != NULL && check_is_on_network(mountinfo, c->prefix, type, sizeof type);

    for (size_t i = 0; mountinfo != NULL && i < sizeof lists / sizeof *lists; i++) {
        if (lists[i] != NULL && strcmp(lists[i], c->prefix) != 0) {
            add_on_network(mountinfo, lists[i], others, sizeof others);
        }
    }
    if (mountinfo == NULL || mountinfo[0] == '\0') {
        check_say(c, FINDING_NOTE, "environment", "/proc/self/mountinfo cannot be read");
    } else if (network) {
        check_say(c, FINDING_OK, "environment",
                  "%s (Python %s) is on %s, a network file system%s%s", c->prefix, version, type,
                  others[0] == '\0' ? "" : "; so are ", others);
    } else if (c->config.fs == FI_FS_ALL) {
        check_say(c, FINDING_OK, "environment",
                  "%s (Python %s) is on %s, and served as FASTIMPORT_FS=all", c->prefix, version,
                  type);
    } else if (others[0] != '\0') {
        check_say(c, FINDING_NOTE, "environment",
                  "%s (Python %s) is on %s, a local file system, and not served; served are %s",
                  c->prefix, version, type, others);
    } else {
        check_say(c, FINDING_WRONG, "environment",
                  "%s (Python %s) is on %s, a local file system: there is nothing to serve here "
                  "(FASTIMPORT_FS=all serves it all the same)",
                  c->prefix, version, type);
    }
    free(mountinfo);
}

void check_environment(struct check *c)
{
    char answer[3 * FI_PATH_MAX];
    char *save;
    char *prefix;
    char *base;
    char *version;

    if (!find_interpreter(c)) {
        c->program[0] = '\0';
        check_say(c, FINDING_WRONG, "environment",
                  "no Python is found%s%s: activate the environment, or name it with --python",
                  c->python == NULL ? " in PATH" : ": ", c->python == NULL ? "" : c->python);
        return;
    }
    if (!ask_interpreter(c, answer, sizeof answer)) {
        check_say(c, FINDING_WRONG, "environment", "%s does not start: %.200s", c->program, answer);
        return;
    }
    prefix = strtok_r(answer, "\n", &save);
    base = strtok_r(NULL, "\n", &save);
    version = strtok_r(NULL, "\n", &save);
    if (version == NULL) {
        check_say(c, FINDING_WRONG, "environment", "%s is no Python", c->program);
        return;
    }
    snprintf(c->prefix, sizeof c->prefix, "%s", prefix);
    say_where(c, base, version);
}

/* --- MPI --- */

static const char *reason_of(const struct check *c, const char *library)
{
    const char *named = getenv("MPI4PY_LIBMPI");
    const char *launcher = getenv("OPAL_PREFIX");
    size_t n = strlen(c->prefix);

    if (c->config.mpi != NULL) {
        return "FASTIMPORT_MPI names it";
    }
    if (named != NULL && named[0] != '\0') {
        return "MPI4PY_LIBMPI names it";
    }
    if (n > 0 && path_has_prefix(library, strlen(library), c->prefix, n)) {
        return "it is in the environment";
    }
    if (launcher != NULL && strncmp(library, launcher, strlen(launcher)) == 0) {
        return "OPAL_PREFIX names its place";
    }
    return "ld.so finds it";
}

/* In a child, as MPI libraries start threads, and may end the process. Prints the library's path,
 * its version and its ABI, a line each; or why there is none. */
static int bind_and_print(void *check_)
{
    const struct check *c = check_;
    char why[512] = "";
    char version[256];
    Dl_info library;
    void *function;

    /* Open MPI is bound only where its launcher has started a job. This asks what would be then. */
    setenv("PMIX_SERVER_URI2", "fastimport-check", 0);
    if (!mpi_bind(c->config.mpi, c->prefix[0] == '\0' ? NULL : c->prefix, why, sizeof why)) {
        printf("%s\n", why);
        return 1;
    }
    memcpy(&function, &mpi.Comm_rank, sizeof function);
    mpi_version(version, sizeof version);
    printf("%s\n%s\n", dladdr(function, &library) != 0 ? library.dli_fname : "?", version);
    return 0;
}

/* An environment with both has two kinds of ranks, by what a program loads first. */
static bool has_two(const struct check *c)
{
    char mpich[FI_PATH_MAX + 32];
    char open_mpi[FI_PATH_MAX + 32];

    snprintf(mpich, sizeof mpich, "%s/lib/libmpi.so.12", c->prefix);
    snprintf(open_mpi, sizeof open_mpi, "%s/lib/libmpi.so.40", c->prefix);
    return c->prefix[0] != '\0' && access(mpich, F_OK) == 0 && access(open_mpi, F_OK) == 0;
}

void check_mpi(struct check *c)
{
    char out[4096];
    char *save = NULL;
    char *library;
    char *version;
    int status = capture_call(bind_and_print, c, 60, out, sizeof out);

    library = strtok_r(out, "\n", &save);
    version = strtok_r(NULL, "\n", &save);
    if (status != 0 || library == NULL || version == NULL) {
        check_say(c, FINDING_WRONG, "MPI",
                  "%s: load the module of the MPI that the program uses, or set FASTIMPORT_MPI",
                  library == NULL ? "no MPI library is found" : library);
        return;
    }
    if (has_two(c)) {
        check_say(
            c, FINDING_WRONG, "MPI",
            "%s/lib has two MPI libraries, libmpi.so.12 and libmpi.so.40: remove the one that "
            "the launcher does not belong to",
            c->prefix);
        return;
    }
    check_say(c, FINDING_OK, "MPI", "%s (%s): %s", library, version, reason_of(c, library));
}
