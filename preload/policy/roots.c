/* SPDX-License-Identifier: BSD-3-Clause */
/* roots.c - see roots.h */
#include "policy/roots.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/path.h"
#include "base/sys.h"
#include "policy/mounts.h"
#include "policy/policy.h"
#include "process/python_argv.h"

struct roots_table {
    const struct fi_config *config;
    char *text;
    size_t size;
    size_t length;
    char *mountinfo;
};

static void roots_emit(struct roots_table *t, enum root_scope scope, const char *path)
{
    char line[FI_PATH_MAX + 4];
    size_t n = (size_t)snprintf(line, sizeof line, "%c%s\n", (char)scope, path);

    if (strchr(path, '\n') != NULL || t->length + n >= t->size) {
        return;
    }
    for (const char *at = t->text; (at = strstr(at, line)) != NULL; at++) {
        if (at == t->text || at[-1] == '\n') {
            return;
        }
    }
    memcpy(t->text + t->length, line, n + 1);
    t->length += n;
}

/* Is this a prefix of the system? It holds much more than Python, so only its Python libraries
 * become roots. */
static bool is_system_prefix(const char *path)
{
    return strcmp(path, "/") == 0 || strcmp(path, "/usr") == 0 || strcmp(path, "/usr/local") == 0;
}

/* Adds a directory under the name that the program uses, and under its canonical name. */
static void roots_add(struct roots_table *t, enum root_scope scope, const char *path)
{
    char cwd[FI_PATH_MAX];
    char real[FI_PATH_MAX];
    struct mount_place place;
    struct fi_path normal;

    if (sys_getcwd(cwd, sizeof cwd) <= 0 || !path_normalise(&normal, cwd, path) ||
        normal.has_dotdot || normal.length == 1) {
        return;
    }
    if (scope == ROOT_EXCLUDE) {
        roots_emit(t, scope, normal.text);
        return;
    }
    if (sys_canonical(normal.text, real, sizeof real) != 0) {
        return;
    }
    mounts_find(t->mountinfo, real, &place);
    if (t->config->fs == FI_FS_NETWORK && !mounts_is_network(place.type)) {
        fi_log(LOG_DEBUG, "%s is on %s, not a network file system: not served", normal.text,
               place.type);
        return;
    }
    roots_emit(t, scope, normal.text);
    roots_emit(t, scope, real);
}

static void add_list(struct roots_table *t, enum root_scope scope, const char *list)
{
    char *copy = list == NULL ? NULL : strdup(list);
    char *save = NULL;

    if (copy == NULL) {
        return;
    }
    for (char *p = strtok_r(copy, ":", &save); p != NULL; p = strtok_r(NULL, ":", &save)) {
        roots_add(t, scope, p);
    }
    free(copy);
}

/* Why an element of a list of paths will not do what its user meant, as the rest of a sentence;
 * NULL: it will. */
static const char *path_complaint(const char *path, bool must_be_there)
{
    char cwd[FI_PATH_MAX];
    char real[FI_PATH_MAX];
    struct fi_path normal;
    int error;

    if (sys_getcwd(cwd, sizeof cwd) <= 0 || !path_normalise(&normal, cwd, path)) {
        return "is too long";
    }
    if (normal.has_dotdot || normal.length == 1 || strchr(path, '\n') != NULL) {
        return normal.has_dotdot ? "is left out, for it has '..' in it" : "is left out";
    }
    error = must_be_there ? sys_canonical(normal.text, real, sizeof real) : 0;
    if (error == -ENOENT) {
        return "does not exist";
    }
    if (error != 0) {
        return "cannot be looked up";
    }
    return path[0] == '/' ? NULL : "is not absolute: it is taken from the working directory";
}

static void complain_of(const char *setting, const char *list, bool must_be_there)
{
    char *copy = list == NULL ? NULL : strdup(list);
    char *save = NULL;

    if (copy == NULL) {
        return;
    }
    for (char *p = strtok_r(copy, ":", &save); p != NULL; p = strtok_r(NULL, ":", &save)) {
        const char *wrong = path_complaint(p, must_be_there);

        if (wrong != NULL) {
            fi_log(LOG_WARN, "%s: %s %s", setting, p, wrong);
        }
    }
    free(copy);
}

static void add_system_prefix(struct roots_table *t, const char *prefix)
{
    static const char *const below[] = {"lib/python3", "local/lib", "lib64"};
    char path[FI_PATH_MAX];

    for (int minor = 6; minor < 20; minor++) {
        snprintf(path, sizeof path, "%s/lib/python3.%d", strcmp(prefix, "/") == 0 ? "" : prefix,
                 minor);
        if (sys_access(path, F_OK, false) == 0) {
            roots_add(t, ROOT_ALL, path);
        }
    }
    if (path_join(path, sizeof path, prefix, below[0])) {
        roots_add(t, ROOT_ALL, path);
    }
}

static void roots_add_prefix(struct roots_table *t, const char *prefix)
{
    if (is_system_prefix(prefix)) {
        add_system_prefix(t, prefix);
    } else {
        roots_add(t, ROOT_ALL, prefix);
    }
}

/* Writes the prefix of a program: "/p" for "/p/bin/python3". */
static bool prefix_of_program(const char *program, char *out, size_t size)
{
    size_t n = path_parent_length(program, strlen(program));

    n = path_parent_length(program, n);
    if (n == 0 || n >= size) {
        return false;
    }
    memmove(out, program, n);
    out[n] = '\0';
    return true;
}

/* The version of the Python in this process; false: not known. */
static bool python_version(int *major, int *minor)
{
    const char *(*get)(void);

    *(void **)&get = dlsym(RTLD_DEFAULT, "Py_GetVersion");
    return get != NULL && sscanf(get(), "%d.%d", major, minor) == 2;
}

/* Is Python's library installed below this prefix? Looks for the same landmark as Python itself
 * (getpath.py). True also if Python's version is not known. */
static bool holds_python(const char *prefix)
{
    static const char *const libraries[] = {"lib", "lib64"};
    char name[FI_PATH_MAX + 64];
    int major, minor;

    if (!python_version(&major, &minor)) {
        return true;
    }
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/%s/python%d.%d/os.py", prefix, libraries[i], major, minor);
        if (sys_access(name, F_OK, false) == 0) {
            return true;
        }
    }
    return false;
}

/* Cuts `file` to the nearest directory above its own that holds Python's library: "/p" for
 * "/p/bin/python3". A program that embeds Python may lie anywhere, where directories above it are
 * no environment: false. */
static bool search_up(char *file)
{
    size_t n = path_parent_length(file, strlen(file));

    while ((n = path_parent_length(file, n)) > 1) {
        file[n] = '\0';
        if (holds_python(file)) {
            return true;
        }
    }
    return false;
}

bool roots_prefix(const char *argv0, char *out, size_t size)
{
    const char *name = argv0;
    char cwd[FI_PATH_MAX];
    struct fi_path program;

    if (name == NULL || strchr(name, '/') == NULL) {
        name = (const char *)getauxval(AT_EXECFN); /* the path that the shell has found in PATH */
    }
    return name != NULL && sys_getcwd(cwd, sizeof cwd) > 0 && path_normalise(&program, cwd, name) &&
           !program.has_dotdot && prefix_of_program(program.text, out, size);
}

/* Adds the base of a virtual environment, which pyvenv.cfg names: "home = /sw/python/bin" (PEP
 * 405). False: the prefix is no virtual environment. */
static bool add_venv_base(struct roots_table *t, const char *prefix)
{
    char name[FI_PATH_MAX];
    char text[FI_PATH_MAX];
    char base[FI_PATH_MAX];

    if (!path_join(name, sizeof name, prefix, "pyvenv.cfg") ||
        sys_read_file(name, text, sizeof text) <= 0) {
        return false;
    }
    for (char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (sscanf(line, "home = %4095[^\n]", base) == 1) {
            strncat(base, "/x", sizeof base - strlen(base) - 1);
            if (prefix_of_program(base, base, sizeof base)) {
                roots_add_prefix(t, base);
            }
            break;
        }
    }
    return true;
}

static bool is_source(const char *script)
{
    const char *dot = strrchr(script, '.');

    return dot != NULL && (strcmp(dot, ".py") == 0 || strcmp(dot, ".pyc") == 0);
}

/* Adds what sys.path[0] will be: the script's directory; or the script itself, if that is a
 * directory or a zip file. */
static void add_script(struct roots_table *t, int argc, char **argv)
{
    const char *script = python_argv_script(argc, argv);
    char directory[FI_PATH_MAX];
    struct stat st;
    const char *slash;

    if (script == NULL || strlen(script) >= sizeof directory) {
        return;
    }
    if (!is_source(script) && sys_stat(script, &st) == 0) {
        roots_add(t, ROOT_IMPORT, script);
        if (S_ISDIR(st.st_mode)) {
            return;
        }
    }
    slash = strrchr(script, '/');
    if (slash == NULL) {
        strcpy(directory, ".");
    } else { /* with the slash if it is all that there is */
        snprintf(directory, sizeof directory, "%.*s", (int)(slash - script) + (slash == script),
                 script);
    }
    roots_add(t, ROOT_IMPORT, directory);
}

/* Adds the prefix where the interpreter is installed. The executable tells it, or libpython in a
 * program that embeds Python. */
static void add_installation(struct roots_table *t)
{
    char path[FI_PATH_MAX];
    void *symbol = dlsym(RTLD_DEFAULT, "Py_Initialize");
    Dl_info library;

    if (sys_program(path, sizeof path) > 0 && search_up(path)) {
        roots_add_prefix(t, path);
    } else if (symbol != NULL && dladdr(symbol, &library) != 0 &&
               sys_canonical(library.dli_fname, path, sizeof path) == 0 && search_up(path)) {
        roots_add_prefix(t, path);
    }
}

static void add_python(struct roots_table *t, const struct roots_input *in)
{
    const char *conda = getenv("CONDA_PREFIX");
    char path[FI_PATH_MAX];

    add_installation(t);
    if (in->argc > 0 && roots_prefix(in->argv[0], path, sizeof path) &&
        (add_venv_base(t, path) || holds_python(path))) {
        roots_add_prefix(t, path);
    }
    if (conda != NULL) {
        roots_add_prefix(t, conda);
    }
    add_list(t, ROOT_IMPORT, getenv("PYTHONPATH"));
    add_script(t, in->argc, in->argv);
}

size_t roots_compute(const struct roots_input *in, char *text, size_t size)
{
    struct roots_table t = {in->config, text, size, 0, mounts_read()};

    text[0] = '\0';
    if (in->complains) {
        complain_of("FASTIMPORT_EXCLUDE", in->config->exclude, false);
        complain_of("FASTIMPORT_PATH", in->config->path, true);
    }
    add_list(&t, ROOT_EXCLUDE, in->config->exclude);
    add_list(&t, ROOT_ALL, in->config->path);
    if (in->is_python) {
        add_python(&t, in);
    }
    add_list(&t, ROOT_LIBRARY, getenv("LD_LIBRARY_PATH"));
    free(t.mountinfo);
    return t.length;
}

/* Looks at the name only, and asks no file system. */
static bool is_named_on_network(const char *mountinfo, const char *path)
{
    char cwd[FI_PATH_MAX];
    struct mount_place place;
    struct fi_path normal;

    if (sys_getcwd(cwd, sizeof cwd) <= 0 || !path_normalise(&normal, cwd, path)) {
        return true;
    }
    mounts_find(mountinfo, normal.text, &place);
    return mounts_is_network(place.type);
}

static bool list_is_on_network(const char *mountinfo, const char *list)
{
    char *copy = list == NULL ? NULL : strdup(list);
    char *save = NULL;
    bool found = false;

    for (char *p = copy == NULL ? NULL : strtok_r(copy, ":", &save); p != NULL && !found;
         p = strtok_r(NULL, ":", &save)) {
        found = is_named_on_network(mountinfo, p);
    }
    free(copy);
    return found;
}

/* Is there certainly a root? So that of thousands of ranks none has to ask the file system. */
static bool is_sure(const struct roots_input *in, const char *mountinfo)
{
    const char *const lists[] = {in->config->path, getenv("PYTHONPATH"), getenv("CONDA_PREFIX"),
                                 getenv("LD_LIBRARY_PATH"), python_argv_script(in->argc, in->argv)};
    char path[FI_PATH_MAX];

    if (sys_program(path, sizeof path) > 0 && is_named_on_network(mountinfo, path)) {
        return true;
    }
    if (in->argc > 0 && roots_prefix(in->argv[0], path, sizeof path) &&
        is_named_on_network(mountinfo, path)) {
        return true;
    }
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        if (list_is_on_network(mountinfo, lists[i])) {
            return true;
        }
    }
    return false;
}

bool roots_are_none(const struct roots_input *in)
{
    struct fi_config config = *in->config;
    struct roots_input rest = {&config, in->argc, in->argv, in->is_python, false};
    char *mountinfo = mounts_read();
    char text[POLICY_TEXT];
    bool sure = mountinfo == NULL || in->config->fs != FI_FS_NETWORK || is_sure(in, mountinfo);

    free(mountinfo);
    config.exclude = NULL;
    return !sure && roots_compute(&rest, text, sizeof text) == 0;
}
