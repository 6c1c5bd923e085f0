/* SPDX-License-Identifier: BSD-3-Clause */
/* mounts.c - see mounts.h */
#include "policy/mounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/hash.h"
#include "base/sys.h"

enum { MOUNTINFO_MAX = 1 << 20 };

/* A line of mountinfo, "36 35 98:0 /root /mount opts - type source options": the words that matter.
 * They point into the text, are not terminated, and have the kernel's escapes. */
struct line {
    long id;
    long parent;
    unsigned major, minor; /* st_dev of the file system */
    struct word {
        const char *text;
        size_t length;
    } root, mount, type, source, options;
};

enum {
    COVERING_MOUNTS = 64,
    /* the identity of a path on none of the mounts: after chroot(2) into a directory that is no
     * mount point */
    NOWHERE = 3
};

bool mounts_is_network(const char *type)
{
    static const char *const types[] = {
        "nfs",    "nfs4",  "lustre", "gpfs",         "beegfs",      "ceph",    "panfs",
        "afs",    "cifs",  "smb3",   "9p",           "orangefs",    "pvfs2",   "glusterfs",
        "wekafs", "fuse",  "gfs2",   "ocfs2",        "cvmfs",       "quobyte", "virtiofs",
        "dvs",    "mmfs",  "fhgfs",  "beegfs_nodev", "lustre_lite", "cvfs",    "cxfs",
        "acfs",   "gfs",   "ibrix",  "parastor",     "yrfs",        "scoutfs", "auristorfs",
        "coda",   "ncpfs", "smbfs",  "pvfs"};

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

/* Returns the word at *at, and moves *at behind it and the blank. */
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

static bool mounts_parse(const char *at, struct line *out)
{
    struct word w;

    out->id = strtol(take_word(&at).text, NULL, 10);
    out->parent = strtol(take_word(&at).text, NULL, 10);
    if (sscanf(take_word(&at).text, "%u:%u", &out->major, &out->minor) != 2) {
        return false;
    }
    out->root = take_word(&at);
    out->mount = take_word(&at);
    do {
        w = take_word(&at);
    } while (w.length > 0 && !is_dash(&w));
    out->type = take_word(&at);
    out->source = take_word(&at);
    out->options = take_word(&at);
    return out->type.length > 0;
}

/* Undoes the kernel's escapes, such as "\\040" for a space. False: the result does not fit. */
static bool mounts_unescape(const struct word *w, char *out, size_t size)
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

static bool mounts_describe(const struct line *l, const char *path, size_t mount_length,
                            struct mount_place *out)
{
    char source[FI_PATH_MAX];
    char root[FI_PATH_MAX];
    const char *below = path + (mount_length == 1 ? 0 : mount_length);

    if (!mounts_unescape(&l->type, out->type, sizeof out->type) ||
        !mounts_unescape(&l->source, source, sizeof source) ||
        !mounts_unescape(&l->root, root, sizeof root)) {
        return false;
    }
    out->has_server = strpbrk(source, ":/") != NULL;
    out->source_length = strlen(source);
    snprintf(out->where, sizeof out->where, "%s %s%s", source, strcmp(root, "/") == 0 ? "" : root,
             below);
    return true;
}

/* Reads the next line; false at the end of the text. Malformed lines are left out. */
static bool next_line(const char **at, struct line *out)
{
    while (*at != NULL && **at != '\0') {
        const char *line = *at;
        const char *end = strchr(line, '\n');

        *at = end == NULL ? NULL : end + 1;
        if (mounts_parse(line, out)) {
            return true;
        }
    }
    return false;
}

bool mounts_next(const char **at, const char *type, struct mount_entry *out)
{
    struct line l;

    while (next_line(at, &l)) {
        if (l.type.length == strlen(type) && memcmp(l.type.text, type, l.type.length) == 0 &&
            mounts_unescape(&l.root, out->root, sizeof out->root) &&
            mounts_unescape(&l.mount, out->mount, sizeof out->mount) &&
            mounts_unescape(&l.options, out->options, sizeof out->options)) {
            return true;
        }
    }
    return false;
}

/* The length of the mount point, if it is the path or above it; else 0. */
static size_t mounts_covered_length(const struct line *l, const char *path, size_t length)
{
    char mount[FI_PATH_MAX];

    return mounts_unescape(&l->mount, mount, sizeof mount) &&
                   path_has_prefix(path, length, mount, strlen(mount))
               ? strlen(mount)
               : 0;
}

/* The mounts at a path and above it, also those that others hide. */
struct covering {
    size_t n;
    struct line lines[COVERING_MOUNTS];
    size_t lengths[COVERING_MOUNTS];
};

static void find_covering(const char *mountinfo, const char *path, struct covering *c)
{
    size_t length = strlen(path);

    c->n = 0;
    for (const char *at = mountinfo; c->n < COVERING_MOUNTS;) {
        struct line *l = &c->lines[c->n];

        if (!next_line(&at, l)) {
            return;
        }
        c->lengths[c->n] = mounts_covered_length(l, path, length);
        c->n += c->lengths[c->n] > 0;
    }
}

static bool is_covering(const struct covering *c, long id)
{
    for (size_t i = 0; i < c->n; i++) {
        if (c->lines[i].id == id) {
            return true;
        }
    }
    return false;
}

/* The first mount after `from` at which the kernel arrives when it follows the path (from -1: the
 * first of all). Of several at one mount point it is the last one. */
static int next_covering(const struct covering *c, int from)
{
    int best = -1;

    for (size_t i = 0; i < c->n; i++) {
        const struct line *l = &c->lines[i];
        bool follows = from < 0 ? l->parent == l->id || !is_covering(c, l->parent)
                                : l->parent == c->lines[from].id && l->parent != l->id;

        if (follows && (best < 0 || c->lengths[i] <= c->lengths[best])) {
            best = (int)i;
        }
    }
    return best;
}

/* The mount in which the kernel finds the path. One that was mounted later above it hides the
 * others. -1: not known. */
static int visible_mount(const struct covering *c)
{
    int at = next_covering(c, -1);

    for (size_t steps = 0; at >= 0 && steps < c->n; steps++) {
        int next = next_covering(c, at);

        if (next < 0) {
            break;
        }
        at = next;
    }
    return at;
}

void mounts_find(const char *mountinfo, const char *path, struct mount_place *out)
{
    struct covering covering;
    int at;

    *out = (struct mount_place){.type = "unknown"};
    find_covering(mountinfo, path, &covering);
    at = visible_mount(&covering);
    if (at >= 0 && mounts_describe(&covering.lines[at], path, covering.lengths[at], out)) {
        out->mount_length = covering.lengths[at];
    }
}

dev_t mounts_device(const char *mountinfo, const char *path)
{
    struct covering covering;
    int at;

    find_covering(mountinfo, path, &covering);
    at = visible_mount(&covering);
    return at < 0 ? 0 : makedev(covering.lines[at].major, covering.lines[at].minor);
}

/* --- identity --- */

/* Returns the source without the server: of "server:/export", "a,b:/export", "//server/share" and
 * "server/share". Returns "" for a device, whose name differs between nodes (GFS2, OCFS2). */
static const char *without_server(char *source)
{
    const char *colon;
    const char *slash;

    for (size_t n = strlen(source); n > 1 && source[n - 1] == '/'; n--) {
        source[n - 1] = '\0';
    }
    colon = strrchr(source, ':');
    if (strncmp(source, "/dev/", 5) == 0) {
        return "";
    }
    if (colon != NULL) {
        return colon + 1;
    }
    if (strncmp(source, "//", 2) == 0) {
        slash = strchr(source + 2, '/');
    } else {
        slash = strchr(source, '=') == NULL ? strchr(source, '/') : NULL;
    }
    return slash != NULL ? slash : source;
}

/* The x in "fuse.x" and the version of NFS are the client's choice: they do not count. */
static void fold_type(char *type)
{
    type[strcspn(type, ".")] = '\0';
    if (strcmp(type, "nfs4") == 0) {
        type[3] = '\0';
    }
}

/* The identity of a path in the mount of this line, whose mount point is so much of the path. 0:
 * not known. */
static uint64_t mounts_identity_in(const struct line *l, const char *path, size_t mount_length)
{
    struct mount_place place;
    char text[sizeof place.type + sizeof place.where];
    bool is_network;

    if (!mounts_describe(l, path, mount_length, &place) || strcmp(place.type, "autofs") == 0) {
        return 0;
    }
    is_network = mounts_is_network(place.type);
    place.where[place.source_length] = '\0';
    fold_type(place.type);
    snprintf(text, sizeof text, "%s %s%s", is_network ? place.type : "local",
             is_network ? without_server(place.where) : "", place.where + place.source_length + 1);
    return fi_hash(text, strlen(text), 0) | 1;
}

static bool find_line(const char *mountinfo, long id, struct line *out)
{
    for (const char *at = mountinfo; next_line(&at, out);) {
        if (out->id == id) {
            return true;
        }
    }
    return false;
}

/* The identity of a mount point below the path. 0: without this mount the same would be there, or
 * it is one that comes and goes by itself. */
static uint64_t identity_below(const char *mountinfo, const struct line *l, const char *mount)
{
    uint64_t here = mounts_identity_in(l, mount, strlen(mount));
    struct line parent;
    uint64_t without;

    if (here == 0 || !find_line(mountinfo, l->parent, &parent)) {
        return here;
    }
    without =
        mounts_identity_in(&parent, mount, mounts_covered_length(&parent, mount, strlen(mount)));
    return without == 0 || without == here ? 0 : here;
}

uint64_t mounts_identity(const char *mountinfo, const char *path)
{
    size_t length = strlen(path);
    char mount[FI_PATH_MAX];
    struct covering covering;
    struct line l;
    uint64_t sum;
    int at;

    if (strlen(mountinfo) >= MOUNTINFO_MAX - 1) { /* the text was cut: there may be more mounts */
        return 0;
    }
    find_covering(mountinfo, path, &covering);
    at = visible_mount(&covering);
    sum = at < 0 ? NOWHERE : mounts_identity_in(&covering.lines[at], path, covering.lengths[at]);
    for (const char *text = mountinfo; sum != 0 && next_line(&text, &l);) {
        if (mounts_unescape(&l.mount, mount, sizeof mount) && strlen(mount) > length &&
            path_has_prefix(mount, strlen(mount), path, length)) {
            uint64_t below = identity_below(mountinfo, &l, mount);

            sum += below == 0 ? 0 : fi_hash(mount, strlen(mount), below) & ~1ULL;
        }
    }
    return sum;
}
