#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/commands.h"
#include "stage/place.h"

static void print_staged(const struct nodes *n, const char *parent, const char *name,
                         const struct place_label *label)
{
    printf("%s\t%s/%s\tstaged", n->name, parent, name);
    for (int i = 0; i < label->n; i++)
        printf("%c%s", i ? ',' : '\t', label->archive[i].name);
    putchar('\n');
}

static void look_at(const struct nodes *n, int dir, const char *parent, const char *name)
{
    struct place_label label;
    int top = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0)
        return;
    const char *partial = strstr(name, ".partial-");
    if (partial && strlen(partial) >= strlen(".partial-") + 12)
        printf("%s\t%s/%s\tpartial\n", n->name, parent, name);
    else if (place_read_label(top, &label))
        print_staged(n, parent, name, &label);
    close(top);
}

static void look_below(const struct nodes *n, const char *parent)
{
    struct dirent *e;
    DIR *d = opendir(parent);
    while (d && (e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            look_at(n, dirfd(d), parent, e->d_name);
    if (d)
        closedir(d);
    fflush(stdout);
}

/* $TMPDIR, if it is none of the others. */
static const char *own_temporary(const char *const *usual)
{
    const char *own = getenv("TMPDIR");
    for (const char *const *p = usual; own && *p; p++)
        if (strcmp(*p, own) == 0)
            return NULL;
    return own;
}

static void list_node(const struct settings *s, const struct nodes *n, struct fault *f)
{
    static const char *const usual[] = {"/tmp", "/dev/shm", "/var/tmp", "/local", "/scratch", NULL};
    (void)f;
    for (int i = 0; i < s->n_words; i++)
        look_below(n, s->words[i]);
    if (s->n_words)
        return;
    for (const char *const *p = usual; *p; p++)
        look_below(n, *p);
    if (own_temporary(usual))
        look_below(n, own_temporary(usual));
}

int command_list(const struct settings *s)
{
    return on_every_node(s, list_node);
}
