/* successor.c - see successor.h */
#include "successor.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "base/sys.h"
#include "role.h"

enum {
    LINE = 256,  /* of a script, that execve(2) heeds (BINPRM_BUF_SIZE) */
    SCRIPTS = 4, /* interpreters that are scripts themselves */
};

bool successor_exists(const char *path)
{
    struct stat st;

    return sys_access(path, X_OK, true) == 0 && sys_stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_in(const char *directory, size_t n, const char *name, char *path, size_t size)
{
    char text[FI_PATH_MAX];

    if (n >= sizeof text) {
        return false;
    }
    memcpy(text, directory, n);
    text[n] = '\0';
    return path_join(path, size, n == 0 ? "." : text, name) && successor_exists(path);
}

bool successor_search(const char *name, char *path, size_t size)
{
    const char *set = getenv("PATH");
    const char *list = set != NULL ? set : "/bin:/usr/bin";

    if (strchr(name, '/') != NULL) {
        return strlen(name) < size && successor_exists(strcpy(path, name));
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

static const char *value_of(char *const environment[], const char *name)
{
    size_t n = strlen(name);

    for (char *const *e = environment; e != NULL && *e != NULL; e++) {
        if (strncmp(*e, name, n) == 0 && (*e)[n] == '=') {
            return *e + n + 1;
        }
    }
    return NULL;
}

/* This library, as it is mapped. */
static const void *ourselves(const char **name)
{
    Dl_info us;

    if (dladdr((void *)ourselves, &us) == 0 || us.dli_fname == NULL) {
        return NULL;
    }
    *name = path_name(us.dli_fname, strlen(us.dli_fname));
    return us.dli_fbase;
}

static bool names_us(char *const environment[])
{
    const char *own = getenv(ROLE_NODE_VARIABLE);
    const char *node = value_of(environment, ROLE_NODE_VARIABLE);
    const char *list = value_of(environment, "LD_PRELOAD");
    const char *off = value_of(environment, "FASTIMPORT");
    const char *name;

    return own != NULL && node != NULL && strcmp(own, node) == 0 && list != NULL &&
           ourselves(&name) != NULL && strstr(list, name) != NULL &&
           (off == NULL || strcmp(off, "0") != 0);
}

/* --- the file --- */

/* ld.so, started as a program, heeds LD_PRELOAD, and has no interpreter. */
static bool is_loader(const char *path)
{
    const char *name = path_name(path, strlen(path));

    return strncmp(name, "ld-", 3) == 0 || strncmp(name, "ld64.", 5) == 0 ||
           strncmp(name, "ld.", 3) == 0;
}

static bool is_of_our_kind(const ElfW(Ehdr) * header)
{
    const char *name;
    const ElfW(Ehdr) *us = ourselves(&name);

    return us != NULL && header->e_ident[EI_CLASS] == us->e_ident[EI_CLASS] &&
           header->e_machine == us->e_machine && header->e_phentsize == sizeof(ElfW(Phdr));
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

static bool is_dynamic(int fd, const char *path)
{
    ElfW(Ehdr) header;

    return sys_pread_all(fd, &header, sizeof header, 0) == sizeof header &&
           is_of_our_kind(&header) && (is_loader(path) || has_interpreter(fd, &header));
}

static bool changes_user(int fd)
{
    struct stat st;

    return sys_fstat(fd, &st) == 0 && (((st.st_mode & S_ISUID) != 0 && st.st_uid != getuid()) ||
                                       ((st.st_mode & S_ISGID) != 0 && st.st_gid != getgid()));
}

static bool can_be_preloaded(const char *path, int scripts);

/* line: "#! /bin/sh -e" */
static bool interpreter_can(char *line, int scripts)
{
    char *name = line + 2 + strspn(line + 2, " \t");

    name[strcspn(name, " \t\n")] = '\0';
    return scripts == 0 || can_be_preloaded(name, scripts - 1);
}

/* What is neither ELF nor "#!", a shell runs. */
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
        can = !changes_user(fd) && is_dynamic(fd, path);
    }
    sys_close(fd);
    return can;
}

bool successor_is_ours(const char *path, char *const environment[])
{
    return names_us(environment) && can_be_preloaded(path, SCRIPTS);
}
