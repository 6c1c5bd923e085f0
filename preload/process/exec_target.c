/* SPDX-License-Identifier: BSD-3-Clause */
/* exec_target.c - see exec_target.h */
#include "process/exec_target.h"

#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/env.h"
#include "base/path.h"
#include "base/sys.h"
#include "process/role.h"

enum {
    LINE = 256,  /* so much of a script's first line execve(2) reads (BINPRM_BUF_SIZE) */
    SCRIPTS = 4, /* so many interpreters in a row may be scripts themselves */
};

bool exec_target_exists(const char *path)
{
    struct stat st;

    return sys_access(path, X_OK, true) == 0 && sys_stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

/* Is there a file that could be started in the directory (n bytes)? Writes its path. */
static bool is_in(const char *directory, size_t n, const char *name, char *path, size_t size)
{
    size_t m = strlen(name);

    if (n == 0) {
        directory = ".";
        n = 1;
    }
    if (n + 1 + m >= size) {
        return false;
    }
    memcpy(path, directory, n);
    path[n] = '/';
    memcpy(path + n + 1, name, m + 1);
    return exec_target_exists(path);
}

bool exec_target_search(const char *name, char *path, size_t size)
{
    const char *set = getenv("PATH");
    const char *list = set != NULL ? set : "/bin:/usr/bin";

    if (strchr(name, '/') != NULL) {
        return strlen(name) < size && exec_target_exists(strcpy(path, name));
    }
    for (;;) {
        size_t n = strcspn(list, ":");

        if (is_in(list, n, name, path, size)) {
            return true;
        }
        if (list[n] == '\0') {
            return false;
        }
        list += n + 1;
    }
}

/* --- the environment --- */

/* Does this environment name the same node cache as ours, and preload fastimport? */
static bool would_preload_us(char *const environment[])
{
    const char *own = getenv(ROLE_NODE_VARIABLE);
    const char *node = env_value(environment, ROLE_NODE_VARIABLE);
    const char *list = env_value(environment, "LD_PRELOAD");
    const char *off = env_value(environment, "FASTIMPORT");

    return own != NULL && node != NULL && strcmp(own, node) == 0 && list != NULL &&
           strstr(list, "libfastimport") != NULL && (off == NULL || strcmp(off, "0") != 0);
}

/* --- the file --- */

/* ld.so can be started as a program. It has no interpreter, but reads LD_PRELOAD. */
static bool is_loader(const char *path)
{
    const char *name = path_name(path, strlen(path));

    return strncmp(name, "ld-", 3) == 0 || strncmp(name, "ld64.", 5) == 0 ||
           strncmp(name, "ld.", 3) == 0;
}

/* The linker defines this symbol: this library's own ELF header. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

static bool is_of_our_architecture(const ElfW(Ehdr) * header)
{
    return header->e_ident[EI_CLASS] == __ehdr_start.e_ident[EI_CLASS] &&
           header->e_machine == __ehdr_start.e_machine && header->e_phentsize == sizeof(ElfW(Phdr));
}

static bool has_interpreter(int fd, const ElfW(Ehdr) * header)
{
    for (size_t i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) p;

        if (sys_pread_all(fd, &p, sizeof p, (off_t)(header->e_phoff + i * sizeof p)) != sizeof p) {
            return false;
        }
        if (p.p_type == PT_INTERP) {
            return true;
        }
    }
    return false;
}

static bool is_static(int fd, const char *path)
{
    ElfW(Ehdr) header;

    return sys_pread_all(fd, &header, sizeof header, 0) == sizeof header &&
           is_of_our_architecture(&header) && !is_loader(path) && !has_interpreter(fd, &header);
}

/* Does the program start with other privileges? Then ld.so preloads nothing ("secure-execution
 * mode", ld.so(8)). */
static bool changes_rights(int fd)
{
    struct stat st;

    if (sys_fgetxattr(fd, "security.capability", NULL, 0) > 0) {
        return true;
    }

    return sys_fstat(fd, &st) == 0 && (((st.st_mode & S_ISUID) != 0 && st.st_uid != getuid()) ||
                                       ((st.st_mode & S_ISGID) != 0 && st.st_gid != getgid()));
}

static bool can_be_preloaded(const char *path, int scripts);

/* line: the script's first line, as "#! /bin/sh -e". */
static bool interpreter_can(char *line, int scripts)
{
    char *name = line + 2 + strspn(line + 2, " \t");

    name[strcspn(name, " \t\n")] = '\0';
    return scripts == 0 || can_be_preloaded(name, scripts - 1);
}

/* A file that is neither ELF nor begins with "#!" is run by a shell, which can be preloaded. */
static bool can_be_preloaded(const char *path, int scripts)
{
    char line[LINE + 1] = "";
    bool can = true;
    int fd = sys_open(path, O_RDONLY | O_CLOEXEC, 0);

    if (fd < 0) {
        return true;
    }
    sys_pread_all(fd, line, LINE, 0);
    if (strncmp(line, "#!", 2) == 0) {
        can = interpreter_can(line, scripts);
    } else if (memcmp(line, ELFMAG, SELFMAG) == 0) {
        can = !changes_rights(fd) && !is_static(fd, path);
    }
    sys_close(fd);
    return can;
}

bool exec_target_is_ours(const char *path, char *const environment[])
{
    return would_preload_us(environment) && can_be_preloaded(path, SCRIPTS);
}
