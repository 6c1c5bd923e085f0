#include "manifest/manifest.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/io.h"

#define MAGIC "python-mpi-bcast-manifest 1"

struct manifest_writer {
    FILE *out;
    XXH3_state_t *sum;
    uint64_t count;
};

struct manifest_reader {
    FILE *in;
    XXH3_state_t *sum;
    uint64_t count;
    struct manifest_head head;
    char *line;
    size_t room;
};

void manifest_head_free(struct manifest_head *h)
{
    for (int i = 0; i < h->prefixes; i++) {
        free(h->prefix[i].old);
        free(h->prefix[i].place);
    }
    h->prefixes = 0;
}

static XXH3_state_t *new_sum(void)
{
    XXH3_state_t *s = XXH3_createState();
    XXH3_64bits_reset(s);
    return s;
}

/* Names as %XX where they hold a blank, a control character or '%'. */
static void put_name(FILE *out, const char *name)
{
    if (!*name)
        fputs("%", out);
    for (const unsigned char *p = (const unsigned char *)name; *p; p++)
        if (*p <= ' ' || *p == '%' || *p == 0x7f)
            fprintf(out, "%%%02X", *p);
        else
            fputc(*p, out);
}

/* In place. False if it is not what put_name writes. */
static bool take_name(char *s)
{
    char *to = s;
    if (strcmp(s, "%") == 0)
        *s = '\0';
    for (char *p = s; *p; p++) {
        unsigned c;
        if (*p != '%') {
            *to++ = *p;
            continue;
        }
        if (sscanf(p + 1, "%2X", &c) != 1 || c == 0 || !p[1] || !p[2])
            return false;
        *to++ = (char)c;
        p += 2;
    }
    *to = '\0';
    return true;
}

/* One line through memory, so that it can be summed. */
static void put_line(struct manifest_writer *w, char *line, size_t n)
{
    XXH3_64bits_update(w->sum, line, n);
    fwrite(line, 1, n, w->out);
    free(line);
}

static void put_head(FILE *out, const struct manifest_head *h)
{
    fprintf(out, MAGIC "\nkind %s\nframing %s\n", h->kind, h->framing);
    for (int i = 0; i < h->prefixes; i++) {
        fputs("prefix ", out);
        put_name(out, h->prefix[i].old);
        fputc(' ', out);
        put_name(out, h->prefix[i].place);
        fputc('\n', out);
    }
    fprintf(out, "files %" PRIu64 "\nbytes %" PRIu64 "\nentries\n", h->files, h->bytes);
}

struct manifest_writer *manifest_create(FILE *out, const struct manifest_head *h)
{
    struct manifest_writer *w = io_alloc(sizeof *w);
    char *text = NULL;
    size_t n = 0;
    w->out = out;
    w->sum = new_sum();
    FILE *memory = open_memstream(&text, &n);
    put_head(memory, h);
    fclose(memory);
    put_line(w, text, n);
    return w;
}

void manifest_add(struct manifest_writer *w, const struct record *r)
{
    char *text = NULL;
    size_t n = 0;
    const struct entry *e = &r->entry;
    FILE *memory = open_memstream(&text, &n);
    fprintf(memory, "%c %04o %" PRId64 ".%09ld %" PRIu64 " %016" PRIx64 " %s ", (char)e->type,
            (unsigned)e->mode, (int64_t)e->mtime.tv_sec, e->mtime.tv_nsec, e->size, r->sum, r->reloc);
    put_name(memory, e->path);
    if (e->link) {
        fputc(' ', memory);
        put_name(memory, e->link);
    }
    fputc('\n', memory);
    fclose(memory);
    put_line(w, text, n);
    w->count++;
}

int manifest_finish(struct manifest_writer *w, struct fault *f)
{
    fprintf(w->out, "end %" PRIu64 " %016" PRIx64 "\n", w->count, XXH3_64bits_digest(w->sum));
    int r = fflush(w->out) != 0 || ferror(w->out) ? fault_errno(f, NULL, "cannot write the manifest") : 0;
    XXH3_freeState(w->sum);
    free(w);
    return r;
}

/* The next line without its newline, or NULL at the end or if it is cut. */
static char *get_line(struct manifest_reader *r)
{
    ssize_t n = getline(&r->line, &r->room, r->in);
    if (n <= 0 || r->line[n - 1] != '\n')
        return NULL;
    if (strncmp(r->line, "end ", 4) != 0)
        XXH3_64bits_update(r->sum, r->line, (size_t)n);
    r->line[n - 1] = '\0';
    return r->line;
}

static bool head_prefix(struct manifest_head *h, char *value)
{
    char *blank = strchr(value, ' ');
    if (!blank || h->prefixes == MANIFEST_PREFIXES)
        return false;
    *blank = '\0';
    if (!take_name(value) || !take_name(blank + 1) || value[0] != '/')
        return false;
    h->prefix[h->prefixes].old = io_strdup(value);
    h->prefix[h->prefixes++].place = io_strdup(blank + 1);
    return true;
}

/* One "key value" line; unknown keys are for later versions that stay readable. */
static bool head_line(struct manifest_head *h, char *line)
{
    char *value = strchr(line, ' ');
    if (!value)
        return false;
    *value++ = '\0';
    if (strcmp(line, "kind") == 0)
        snprintf(h->kind, sizeof h->kind, "%s", value);
    else if (strcmp(line, "framing") == 0)
        snprintf(h->framing, sizeof h->framing, "%s", value);
    else if (strcmp(line, "prefix") == 0)
        return head_prefix(h, value);
    else if (strcmp(line, "files") == 0)
        h->files = strtoull(value, NULL, 10);
    else if (strcmp(line, "bytes") == 0)
        h->bytes = strtoull(value, NULL, 10);
    return true;
}

static int read_head(struct manifest_reader *r, struct fault *f)
{
    char *line = get_line(r);
    if (!line || strcmp(line, MAGIC) != 0)
        return fault_set(f, NULL, "not a manifest of a version this program knows");
    while ((line = get_line(r)) && strcmp(line, "entries") != 0)
        if (!head_line(&r->head, line))
            return fault_set(f, NULL, "the manifest's head is damaged");
    return line ? 0 : fault_set(f, NULL, "the manifest's head is cut off");
}

struct manifest_reader *manifest_open(FILE *in, struct fault *f)
{
    struct manifest_reader *r = io_alloc(sizeof *r);
    r->in = in;
    r->sum = new_sum();
    if (read_head(r, f) == 0)
        return r;
    manifest_close(r);
    return NULL;
}

const struct manifest_head *manifest_head(const struct manifest_reader *r)
{
    return &r->head;
}

void manifest_close(struct manifest_reader *r)
{
    if (!r)
        return;
    manifest_head_free(&r->head);
    XXH3_freeState(r->sum);
    free(r->line);
    free(r);
}

static int read_end(struct manifest_reader *r, const char *line, struct fault *f)
{
    uint64_t count, sum;
    if (sscanf(line, "end %" SCNu64 " %16" SCNx64, &count, &sum) != 2 || count != r->count ||
        sum != XXH3_64bits_digest(r->sum))
        return fault_set(f, NULL, "the manifest is damaged");
    return 0;
}

static bool valid_type(char type, bool link)
{
    return strchr("fdlh", type) && link == (type == ENTRY_SYMLINK || type == ENTRY_HARDLINK);
}

/* TYPE MODE MTIME SIZE SUM RELOC PATH [TARGET] */
static bool parse_record(char *line, struct record *out)
{
    struct entry *e = &out->entry;
    char type;
    unsigned mode;
    int64_t seconds;
    int at = 0;
    if (sscanf(line, "%c %o %" SCNd64 ".%9ld %" SCNu64 " %16" SCNx64 " %7s %n", &type, &mode, &seconds,
               &e->mtime.tv_nsec, &e->size, &out->sum, out->reloc, &at) != 7 ||
        at == 0)
        return false;
    char *path = line + at, *link = strchr(path, ' ');
    if (link)
        *link++ = '\0';
    if (!*path || !valid_type(type, link != NULL) || !take_name(path) || (link && !take_name(link)))
        return false;
    e->type = (enum entry_type)type;
    e->mode = mode & 0777;
    e->mtime.tv_sec = seconds;
    e->path = path;
    e->link = link;
    return true;
}

int manifest_next(struct manifest_reader *r, struct record *record, struct fault *f)
{
    char *line = get_line(r);
    if (!line)
        return fault_set(f, NULL, "the manifest is cut off");
    if (strncmp(line, "end ", 4) == 0)
        return read_end(r, line, f);
    r->count++;
    return parse_record(line, record) ? 1 : fault_set(f, NULL, "a line of the manifest is damaged");
}
