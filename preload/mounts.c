/* mounts.c - see mounts.h */
#include "mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys.h"

enum { MOUNTINFO_MAX = 1 << 20 };

/* One line: "36 35 98:0 /root /mount opts - type source ..." */
struct line {
    char root[FI_PATH_MAX];
    char mount[FI_PATH_MAX];
    char type[MOUNT_TYPE_MAX];
    char source[FI_PATH_MAX];
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

/* Undoes the kernel's escapes, "\\040" for a space, in place. */
static void unescape(char *text)
{
    char *to = text;

    for (const char *at = text; *at != '\0'; to++) {
        if (at[0] == '\\' && strspn(at + 1, "01234567") >= 3) {
            *to = (char)((at[1] - '0') * 64 + (at[2] - '0') * 8 + at[3] - '0');
            at += 4;
        } else {
            *to = *at++;
        }
    }
    *to = '\0';
}

static bool parse(const char *text, struct line *out)
{
    const char *dash = strstr(text, " - ");
    const char *end = strchr(text, '\n');

    out->source[0] = '\0';
    if (dash == NULL || (end != NULL && dash > end) ||
        sscanf(text, "%*d %*d %*s %4095s %4095s", out->root, out->mount) != 2 ||
        sscanf(dash, " - %63s %4095s", out->type, out->source) < 1) {
        return false;
    }
    unescape(out->root);
    unescape(out->mount);
    return true;
}

static void describe(const struct line *l, const char *path, struct mount_place *out)
{
    const char *below = path + (strcmp(l->mount, "/") == 0 ? 0 : strlen(l->mount));

    strcpy(out->type, l->type);
    snprintf(out->where, sizeof out->where, "%s %s%s", l->source,
             strcmp(l->root, "/") == 0 ? "" : l->root, below);
}

void mounts_find(const char *mountinfo, const char *path, struct mount_place *out)
{
    struct line *l = malloc(sizeof *l);
    size_t length = strlen(path);
    size_t best = 0;

    strcpy(out->type, "unknown");
    out->where[0] = '\0';
    for (const char *at = mountinfo; l != NULL && at != NULL && *at != '\0';) {
        const char *end = strchr(at, '\n');

        if (parse(at, l) && strlen(l->mount) >= best &&
            path_has_prefix(path, length, l->mount, strlen(l->mount))) {
            best = strlen(l->mount);
            describe(l, path, out);
        }
        at = end == NULL ? NULL : end + 1;
    }
    free(l);
}
