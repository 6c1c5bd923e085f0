/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/commands.h"
#include "stage/trust.h"

/* The absolute path of the directory, and the variable that names such an environment. */
struct environment {
    char dir[PATH_MAX];
    const char *variable;
};

static bool activate_has(const char *dir, const char *name)
{
    char *path = io_format("%s/%s", dir, name);
    bool there = access(path, F_OK) == 0;
    free(path);
    return there;
}

/* Programs will run from there, so it must belong to this user or to root. */
static int activate_find_environment(struct environment *e, const char *dir, struct error *err)
{
    int top = trust_open_tree(dir, err);
    if (top < 0) {
        return -1;
    }
    close(top);
    if (realpath(dir, e->dir) == NULL) {
        return error_set_errno(err, dir, "cannot activate it");
    }
    if (!activate_has(e->dir, "bin")) {
        return error_set(err, dir, "there is no bin directory: not an environment");
    }
    e->variable = activate_has(e->dir, "conda-meta") ? "CONDA_PREFIX" : "VIRTUAL_ENV";
    return 0;
}

/* Prints 'text' for all four shells: a quote ends the string, is escaped, and starts it again. csh
 * expands ! inside quotes, too. */
static void activate_put_quoted(const char *text, bool csh)
{
    putchar('\'');
    for (; *text; text++) {
        if (*text == '\'' || (csh && *text == '!')) {
            printf(*text == '!' ? "\\%c" : "'\\%c'", *text);
        } else {
            putchar(*text);
        }
    }
    putchar('\'');
}

static void activate_set_posix(const struct environment *e)
{
    printf("export %s=", e->variable);
    activate_put_quoted(e->dir, false);
    printf("; export PATH=");
    activate_put_quoted(e->dir, false);
    puts("/bin\"${PATH:+:$PATH}\"; unset PYTHONHOME; hash -r 2>/dev/null;");
    if (activate_has(e->dir, "etc/conda/activate.d")) {
        printf("for _pmb_f in ");
        activate_put_quoted(e->dir, false);
        puts("/etc/conda/activate.d/*.sh; do [ -r \"$_pmb_f\" ] && . \"$_pmb_f\"; done; unset "
             "_pmb_f;");
    }
}

static void activate_set_fish(const struct environment *e)
{
    printf("set -gx %s ", e->variable);
    activate_put_quoted(e->dir, false);
    printf("; set -gx PATH ");
    activate_put_quoted(e->dir, false);
    puts("/bin $PATH; set -e PYTHONHOME;");
}

static void activate_set_csh(const struct environment *e)
{
    printf("setenv %s ", e->variable);
    activate_put_quoted(e->dir, true);
    printf("; setenv PATH ");
    activate_put_quoted(e->dir, true);
    puts("/bin:\"$PATH\"; unsetenv PYTHONHOME; rehash;");
}

static const char *shell_of(const struct settings *s)
{
    const char *shell = s->shell != NULL ? s->shell : getenv("SHELL");
    const char *slash = shell != NULL ? strrchr(shell, '/') : NULL;
    if (shell == NULL) {
        return "sh";
    }
    return slash != NULL ? slash + 1 : shell;
}

int command_activate(const struct settings *s)
{
    struct environment e;
    struct error err = {0};
    const char *shell = shell_of(s);
    if (activate_find_environment(&e, s->words[0], &err) < 0) {
        return cli_complain(NULL, &err);
    }
    if (strcmp(shell, "fish") == 0) {
        activate_set_fish(&e);
    } else if (strcmp(shell, "csh") == 0 || strcmp(shell, "tcsh") == 0) {
        activate_set_csh(&e);
    } else {
        activate_set_posix(&e);
    }
    return 0;
}

int command_run(const struct settings *s)
{
    struct environment e;
    struct error err = {0};
    const char *old = getenv("PATH");
    char **command = s->words + 1;
    if (strcmp(command[0], "--") == 0) {
        command++;
    }
    if (command[0] == NULL) {
        error_set(&err, NULL, "run needs a command after DIR");
        return cli_complain(NULL, &err);
    }
    if (activate_find_environment(&e, s->words[0], &err) < 0) {
        return cli_complain(NULL, &err);
    }
    char *path =
        io_format("%s/bin%s%s", e.dir, old != NULL && *old ? ":" : "", old != NULL ? old : "");
    setenv("PATH", path, 1);
    setenv(e.variable, e.dir, 1);
    unsetenv("PYTHONHOME");
    free(path);
    execvp(command[0], command);
    int status = errno == ENOENT ? 127 : 126;
    error_set_errno(&err, command[0], "cannot run");
    cli_complain(NULL, &err);
    return status;
}
