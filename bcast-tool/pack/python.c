/* SPDX-License-Identifier: BSD-3-Clause */
#include "pack/python.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io.h"

static const char question[] =
    "import os, sys, sysconfig as s\n"
    "v = s.get_config_var\n"
    "lib = os.path.join(v('LIBDIR') or '', v('INSTSONAME') or '')\n"
    "print(os.path.realpath(sys.base_prefix))\n"
    "print(sys.base_prefix)\n"
    "print(os.path.realpath(getattr(sys, '_base_executable', sys.executable)))\n"
    "print(os.path.realpath(s.get_path('stdlib')))\n"
    "print(os.path.realpath(s.get_path('platstdlib', vars={'platbase': "
    "v('installed_platbase')})))\n"
    "print(lib if v('Py_ENABLE_SHARED') and os.path.exists(lib) else '-')\n";

/* Runs `python -I -c question`, with its output in a pipe. */
static FILE *python_ask(const char *python, pid_t *child)
{
    int ends[2];
    if (pipe(ends) < 0) {
        return NULL;
    }
    *child = fork();
    if (*child == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        execl(python, python, "-I", "-c", question, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    return fdopen(ends[0], "r");
}

static char *python_take_line(FILE *in)
{
    char line[PATH_MAX + 2];
    if (fgets(line, sizeof line, in) == NULL) {
        return NULL;
    }
    line[strcspn(line, "\n")] = '\0';
    return strcmp(line, "-") == 0 ? NULL : io_strdup(line);
}

int python_find(const char *prefix, struct python *p, struct error *err)
{
    char *python = io_format("%s/bin/python", prefix);
    pid_t child = -1;
    int status = -1;
    FILE *in = python_ask(python, &child);
    *p = (struct python){0};
    if (in != NULL) {
        p->prefix = python_take_line(in);
        p->named = python_take_line(in);
        p->executable = python_take_line(in);
        p->stdlib = python_take_line(in);
        p->platstdlib = python_take_line(in);
        p->libpython = python_take_line(in);
        fclose(in);
    }
    if (child > 0) {
        waitpid(child, &status, 0);
    }
    int r = status == 0 && p->platstdlib != NULL
                ? 0
                : error_set(err, python, "cannot be run to find the base interpreter");
    free(python);
    return r;
}

void python_free(struct python *p)
{
    free(p->prefix);
    free(p->named);
    free(p->executable);
    free(p->stdlib);
    free(p->platstdlib);
    free(p->libpython);
    *p = (struct python){0};
}

static int python_add_dir(struct items *it, const char *like, const char *path, struct error *err)
{
    return items_add_one(it, like, path, err);
}

/* Adds `dir` below PYTHON_BASE at the place that it has below the base prefix. */
static int python_add_library(const struct python *p, struct items *it, const char *dir,
                              struct error *err)
{
    size_t n = strlen(p->prefix);
    const char *tail = strncmp(dir, p->prefix, n) == 0 ? dir + n : NULL;
    if (tail == NULL || *tail != '/') {
        return error_set(err, dir, "the standard library is not below the prefix %s", p->prefix);
    }
    char *path = io_format(PYTHON_BASE "%s", tail);
    int r = items_add_tree(it, dir, path, err);
    free(path);
    return r;
}

static const char *python_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int python_add_file(struct items *it, const char *source, const char *dir, struct error *err)
{
    char *path = io_format(PYTHON_BASE "/%s/%s", dir, python_base_name(source));
    int r = items_add_one(it, source, path, err);
    free(path);
    return r;
}

int python_add(const struct python *p, struct items *it, struct error *err)
{
    static const char *const patterns[] = {"site-packages", "dist-packages", ".git", NULL};
    size_t first = it->n;
    const char *const *saved = it->exclude;
    enum items_outside outside = it->outside;
    it->exclude = patterns;
    it->outside = OUTSIDE_FILES;
    int r = python_add_dir(it, p->prefix, PYTHON_BASE, err);
    if (r == 0) {
        r = python_add_dir(it, p->prefix, PYTHON_BASE "/bin", err);
    }
    if (r == 0) {
        r = python_add_file(it, p->executable, "bin", err);
    }
    if (r == 0) {
        r = python_add_dir(it, p->prefix, PYTHON_BASE "/lib", err);
    }
    if (r == 0 && p->libpython != NULL) {
        r = python_add_file(it, p->libpython, "lib", err);
    }
    if (r == 0) {
        r = python_add_library(p, it, p->stdlib, err);
    }
    if (r == 0 && strcmp(p->stdlib, p->platstdlib) != 0) {
        r = python_add_library(p, it, p->platstdlib, err);
    }
    it->exclude = saved;
    it->outside = outside;
    for (size_t i = first; i < it->n; i++) {
        it->list[i].base = true;
    }
    return r;
}

void python_relink(const struct python *p, struct items *it)
{
    char real[PATH_MAX];
    for (size_t k = 0; k < it->n; k++) {
        struct item *i = &it->list[k];
        if (i->type != ENTRY_SYMLINK || strncmp(i->path, "bin/", 4) != 0 ||
            strchr(i->path + 4, '/') != NULL || i->link[0] != '/' ||
            realpath(i->source, real) == NULL || strcmp(real, p->executable) != 0) {
            continue;
        }
        free(i->link);
        i->link = io_format("../" PYTHON_BASE "/bin/%s", python_base_name(p->executable));
    }
}

bool python_system_prefix(const char *prefix)
{
    static const char *const known[] = {"/", "/usr", "/usr/local", NULL};
    for (const char *const *p = known; *p != NULL; p++) {
        if (strcmp(prefix, *p) == 0) {
            return true;
        }
    }
    return false;
}
