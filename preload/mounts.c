/* mounts.c - see mounts.h */
#include "mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

enum { MOUNTINFO_MAX = 1 << 20 };

/* The words of a line that matter, "36 35 98:0 /root /mount opts - type source ...": not yet
 * unescaped, not terminated. */
struct line {
    struct word {
        const char *text;
        size_t length;
    } root, mount, type, source;
};

bool mounts_is_network(const char *type)
{
    static const char *const types[] = {
        "nfs",    "nfs4", "lustre", "gpfs",  "beegfs",   "ceph",    "panfs",
        "afs",    "cifs", "smb3",   "9p",    "orangefs", "pvfs2",   "glusterfs",
        "wekafs", "fuse", "gfs2",   "ocfs2", "cvmfs",    "quobyte", "virtiofs"};

    if (strncmp(type, "fuse.", 5) == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(type, types[i]) == 0) {
            return true;
        }
    }
    return false;
}

char *mounts_read(void)
{
    char *text = malloc(MOUNTINFO_MAX);

    if (text != NULL && sys_read_file("/proc/self/mountinfo", text, MOUNTINFO_MAX) < 0) {
        text[0] = '\0';
    }
    return text;
}

/* Moves on to the end of the word at *at, and behind the blank. */
static struct word take_word(const char **at)
{
    struct word w = {*at, strcspn(*at, " \n")};

    *at += w.length + ((*at)[w.length] == ' ');
    return w;
}

static bool is_dash(const struct word *w)
{
    return w->length == 1 && w->text[0] == '-';
}

static bool parse(const char *at, struct line *out)
{
    struct word w;

    take_word(&at);
    take_word(&at);
    take_word(&at);
    out->root = take_word(&at);
    out->mount = take_word(&at);
    do {
        w = take_word(&at);
    } while (w.length > 0 && !is_dash(&w));
    out->type = take_word(&at);
    out->source = take_word(&at);
    return out->type.length > 0;
}

/* Undoes the kernel's escapes, "\\040" for a space. False: it does not fit. */
static bool unescape(const struct word *w, char *out, size_t size)
{
    const char *at = w->text;
    const char *end = at + w->length;
    size_t n = 0;

    for (; at < end && n + 1 < size; n++) {
        if (end - at >= 4 && at[0] == '\\' && strspn(at + 1, "01234567") >= 3) {
            out[n] = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + at[3] - '0');
            at += 4;
        } else {
            out[n] = *at++;
        }
    }
    out[n] = '\0';
    return at == end;
}

static bool describe(const struct line *l, const char *path, size_t mount_length,
                     struct mount_place *out)
{
    char source[FI_PATH_MAX];
    char root[FI_PATH_MAX];
    const char *below = path + (mount_length == 1 ? 0 : mount_length);

    if (!unescape(&l->type, out->type, sizeof out->type) ||
        !unescape(&l->source, source, sizeof source) || !unescape(&l->root, root, sizeof root)) {
        return false;
    }
    out->has_server = strpbrk(source, ":/") != NULL;
    snprintf(out->where, sizeof out->where, "%s %s%s", source, strcmp(root, "/") == 0 ? "" : root,
             below);
    return true;
}

void mounts_find(const char *mountinfo, const char *path, struct mount_place *out)
{
    size_t length = strlen(path);
    char mount[FI_PATH_MAX];
    size_t best = 0;

    *out = (struct mount_place){.type = "unknown"};
    for (const char *at = mountinfo; at != NULL && *at != '\0';) {
        const char *end = strchr(at, '\n');
        struct line l;

        if (parse(at, &l) && unescape(&l.mount, mount, sizeof mount) && strlen(mount) >= best &&
            path_has_prefix(path, length, mount, strlen(mount)) &&
            describe(&l, path, strlen(mount), out)) {
            best = strlen(mount);
            out->mount_length = best;
        }
        at = end == NULL ? NULL : end + 1;
    }
}
