/* SPDX-License-Identifier: BSD-3-Clause */
/* place.c - see place.h */
#include "command/place.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/version.h"

/* Below the directory of the command: in the build directory; as `make install`, Red Hat and Debian
 * install it. */
static const char *const places[] = {".", "../lib/fastimport", "../lib64/fastimport",
                                     "../lib/x86_64-linux-gnu/fastimport",
                                     "../lib/aarch64-linux-gnu/fastimport"};

bool place_library(char *out, size_t size)
{
    char self[FI_PATH_MAX];
    char name[FI_PATH_MAX + 64];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (n <= 0) {
        return false;
    }
    self[n] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL) {
        return false;
    }
    *slash = '\0';
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char *real;

        snprintf(name, sizeof name, "%s/%s/libfastimport.so", self, places[i]);
        real = realpath(name, NULL);
        if (real != NULL) {
            snprintf(out, size, "%s", real);
            free(real);
            return true;
        }
    }
    return false;
}

bool place_library_version(const char *library, char *out, size_t size)
{
    static const char mark[] = VERSION_MARK;
    int fd = open(library, O_RDONLY | O_CLOEXEC);
    const char *at = NULL;
    struct stat st;
    char *bytes;

    if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0) {
        if (fd >= 0) {
            close(fd);
        }
        return false;
    }
    bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (bytes == MAP_FAILED) {
        return false;
    }
    /* the NUL at the end belongs to a string that follows the mark */
    at = memmem(bytes, (size_t)st.st_size, mark, sizeof mark - 1);
    if (at != NULL) {
        at += sizeof mark - 1;
        snprintf(out, size, "%.*s", (int)strnlen(at, (size_t)(bytes + st.st_size - at)), at);
    }
    munmap(bytes, (size_t)st.st_size);
    return at != NULL;
}

static bool is_program(const char *name)
{
    struct stat st;

    return stat(name, &st) == 0 && S_ISREG(st.st_mode) && access(name, X_OK) == 0;
}

bool place_program(const char *name, char *out, size_t size)
{
    const char *path = getenv("PATH");

    if (strchr(name, '/') != NULL) {
        snprintf(out, size, "%s", name);
        return is_program(name);
    }
    while (path != NULL && *path != '\0') {
        size_t n = strcspn(path, ":");

        snprintf(out, size, "%.*s/%s", n == 0 ? 1 : (int)n, n == 0 ? "." : path, name);
        if (is_program(out)) {
            return true;
        }
        path += n + (path[n] != '\0');
    }
    return false;
}
