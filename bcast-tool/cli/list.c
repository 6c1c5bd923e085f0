/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/commands.h"
#include "stage/destination.h"

/* A name without control characters: it may be another user's. */
struct shown {
    char text[512];
};

static struct shown list_printable(const char *text)
{
    struct shown s;
    error_printable(s.text, sizeof s.text, text);
    return s;
}

static void list_print_staged(const struct nodes *n, const char *parent, const char *name,
                              const struct destination_label *label)
{
    printf("%s\t%s/%s\tstaged", n->name, parent, list_printable(name).text);
    for (int i = 0; i < label->n; i++) {
        printf("%c%s", i ? ',' : '\t', list_printable(label->archive[i].name).text);
    }
    putchar('\n');
}

/* Is it a partial copy of this user, of whatever DIR? */
static bool list_is_partial(int dir, const char *name)
{
    char base[256], token[PARTIAL_TOKEN];
    const char *infix = strstr(name, ".partial-");
    for (; infix != NULL; infix = strstr(infix + 1, ".partial-")) {
        snprintf(base, sizeof base, "%.*s", (int)(infix - name), name);
        if (partial_look(dir, base, name, token) != PARTIAL_NONE) {
            return true;
        }
    }
    return false;
}

static void list_look_at(const struct nodes *n, int dir, const char *parent, const char *name)
{
    struct destination_label label;
    int top = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0) {
        return;
    }
    if (list_is_partial(dir, name)) {
        printf("%s\t%s/%s\tpartial\n", n->name, parent, list_printable(name).text);
    } else if (destination_read_label(top, &label)) {
        list_print_staged(n, parent, name, &label);
    }
    close(top);
}

static void list_look_below(const struct nodes *n, const char *parent)
{
    struct dirent *e;
    DIR *d = opendir(parent);
    while (d != NULL && (e = readdir(d)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            list_look_at(n, dirfd(d), parent, e->d_name);
        }
    }
    if (d != NULL) {
        closedir(d);
    }
    fflush(stdout);
}

/* $TMPDIR, or NULL if it is one of the usual directories. */
static const char *own_temporary(const char *const *usual)
{
    const char *own = getenv("TMPDIR");
    for (const char *const *p = usual; own != NULL && *p != NULL; p++) {
        if (strcmp(*p, own) == 0) {
            return NULL;
        }
    }
    return own;
}

static void list_node(const struct settings *s, const struct nodes *n, struct error *err)
{
    static const char *const usual[] = {"/tmp", "/dev/shm", "/var/tmp", "/local", "/scratch", NULL};
    (void)err;
    for (int i = 0; i < s->n_words; i++) {
        list_look_below(n, s->words[i]);
    }
    if (s->n_words) {
        return;
    }
    for (const char *const *p = usual; *p != NULL; p++) {
        list_look_below(n, *p);
    }
    if (own_temporary(usual) != NULL) {
        list_look_below(n, own_temporary(usual));
    }
}

int command_list(const struct settings *s)
{
    return cli_on_every_node(s, list_node);
}
