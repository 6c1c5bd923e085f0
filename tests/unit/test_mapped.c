/* SPDX-License-Identifier: BSD-3-Clause */
/* fill/mapped, cache/partial: which parts of a library are copied; how a partial copy is kept and
 * sent. */
#include "scratch.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/protected_fd.h"
#include "broadcast/stream.h"
#include "cache/give_back.h"
#include "cache/mirror.h"
#include "faults.h"
#include "fill/lookup.h"
#include "fill/mapped.h"

enum { MB = 1 << 20, DYNAMIC_AT = 10 * MB, RELOCATIONS_AT = 8192, SECTIONS_AT = 17 * MB };
enum { NONE, DYNSYM, FATBIN, RODATA, DYNAMIC, LDATA, NAMES, N_SECTIONS };
enum { READ_ONLY, WRITABLE, DYNAMIC_SEGMENT, NOTE, N_SEGMENTS };

static const char names[] = "\0.dynsym\0.nv_fatbin\0.rodata\0.dynamic\0.ldata\0.shstrtab";

/* A library of 17 MB, of which addresses are offsets. Read-only: tables, from 1 MB on 6 MB of
 * .nv_fatbin, 1 MB of .rodata. A hole from 8 to 10 MB. Writable: tables, from 11 MB on 5 MB of
 * .ldata. */
struct library {
    Elf64_Ehdr header;
    Elf64_Phdr segments[N_SEGMENTS];
    Elf64_Dyn dynamic[8];
    Elf64_Rela relocations[2];
    Elf64_Shdr sections[N_SECTIONS];
};

static Elf64_Shdr section_at(const char *name, Elf64_Word type, Elf64_Xword flags, size_t offset,
                             size_t size)
{
    const char *at = memmem(names, sizeof names, name, strlen(name) + 1);

    return (Elf64_Shdr){.sh_name = (Elf64_Word)(at - names),
                        .sh_type = type,
                        .sh_flags = flags,
                        .sh_addr = offset,
                        .sh_offset = offset,
                        .sh_size = size};
}

static struct library usual_library(void)
{
    struct library l = {
        .header = {.e_ident = ELFMAG,
                   .e_type = ET_DYN,
                   .e_phoff = sizeof(Elf64_Ehdr),
                   .e_phentsize = sizeof(Elf64_Phdr),
                   .e_phnum = N_SEGMENTS,
                   .e_shoff = SECTIONS_AT,
                   .e_shentsize = sizeof(Elf64_Shdr),
                   .e_shnum = N_SECTIONS,
                   .e_shstrndx = NAMES},
        .segments = {{PT_LOAD, PF_R, 0, 0, 0, 8 * MB, 8 * MB, 4096},
                     {PT_LOAD, PF_R | PF_W, 10 * MB, 10 * MB, 10 * MB, 6 * MB, 7 * MB, 4096},
                     {PT_DYNAMIC, PF_R | PF_W, DYNAMIC_AT, DYNAMIC_AT, DYNAMIC_AT, sizeof l.dynamic,
                      sizeof l.dynamic, 8},
                     {PT_NOTE, PF_R, 600, 600, 600, 32, 32, 4}},
        .dynamic = {{DT_SYMTAB, {4096}},
                    {DT_RELA, {RELOCATIONS_AT}},
                    {DT_RELASZ, {sizeof l.relocations}}},
        .relocations = {{.r_offset = DYNAMIC_AT + 4096}, {.r_offset = DYNAMIC_AT + 8192}},
        .sections = {[DYNSYM] = section_at(".dynsym", SHT_DYNSYM, SHF_ALLOC, 4096, 4096),
                     [FATBIN] = section_at(".nv_fatbin", SHT_PROGBITS, SHF_ALLOC, MB, 6 * MB),
                     [RODATA] = section_at(".rodata", SHT_PROGBITS, SHF_ALLOC, 7 * MB, MB),
                     [DYNAMIC] = section_at(".dynamic", SHT_DYNAMIC, SHF_ALLOC | SHF_WRITE,
                                            DYNAMIC_AT, sizeof l.dynamic),
                     [LDATA] =
                         section_at(".ldata", SHT_PROGBITS, SHF_ALLOC | SHF_WRITE, 11 * MB, 5 * MB),
                     [NAMES] = section_at(".shstrtab", SHT_STRTAB, 0,
                                          SECTIONS_AT + sizeof l.sections, sizeof names)},
    };

    l.header.e_ident[EI_CLASS] = ELFCLASS64;
    return l;
}

/* Every page that nothing else is in begins with its offset. */
static void library_write(const struct library *l, const char *name)
{
    int fd = open(scratch_path(name), O_RDWR | O_CREAT | O_TRUNC, 0755);

    assert_true(fd >= 0);
    for (off_t at = 0; at < SECTIONS_AT; at += 4096) {
        assert_int_equal(pwrite(fd, &at, sizeof at, at + 2048), sizeof at);
    }
    assert_true(pwrite(fd, &l->header, sizeof l->header, 0) > 0 &&
                pwrite(fd, l->segments, sizeof l->segments, sizeof l->header) > 0 &&
                pwrite(fd, l->dynamic, sizeof l->dynamic, DYNAMIC_AT) > 0 &&
                pwrite(fd, l->relocations, sizeof l->relocations, RELOCATIONS_AT) > 0 &&
                pwrite(fd, l->sections, sizeof l->sections, SECTIONS_AT) > 0 &&
                pwrite(fd, names, sizeof names, SECTIONS_AT + sizeof l->sections) > 0);
    close(fd);
}

/* What an earlier run has touched. */
static const struct record_extent *learnt;
static uint32_t n_learnt;

static struct mapped mapped_of(const struct library *l)
{
    const struct extents touched = {learnt, n_learnt};
    struct mapped m;
    struct stat st;
    int fd;

    library_write(l, "lib.so");
    fd = open(scratch_path("lib.so"), O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    mapped_parts(fd, (uint64_t)st.st_size, &touched, &m);
    close(fd);
    return m;
}

/* offsets: where each extent begins and ends, in MB. */
static void assert_parts(const struct library *l, uint32_t n, const int *offsets)
{
    struct mapped m = mapped_of(l);
    struct extents parts = {m.extents, m.n};

    assert_int_equal(m.n, n);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(m.extents[i].offset, offsets[2 * i] * MB);
        assert_int_equal(m.extents[i].offset + m.extents[i].length, offsets[2 * i + 1] * MB);
    }
    if (n > 0) {
        assert_int_equal(m.size, extents_total(&parts));
        assert_true(extents_valid(&parts, 18 * MB));
    }
    free(m.extents);
}

static void leaves_out_holes_and_cold_sections(void **state)
{
    struct library l = usual_library();

    (void)state;
    assert_parts(&l, 3, (const int[]){0, 1, 7, 8, 10, 11});
}

/* Of a writable section what relocations change is copied. */
static void copies_what_is_relocated(void **state)
{
    struct library l = usual_library();
    struct mapped m;

    (void)state;
    l.relocations[1].r_offset = 12 * MB - 4;
    m = mapped_of(&l);
    assert_int_equal(m.n, 3);
    assert_int_equal(m.extents[2].offset, 10 * MB);
    assert_int_equal(m.extents[2].length, 2 * MB + EXTENT_ALIGN);
    free(m.extents);
}

/* In each case one thing is unusual, and the section is copied. */
static void copies_what_is_in_use(void **state)
{
    const int with_fatbin[] = {0, 8, 10, 11};
    const int with_ldata[] = {0, 1, 7, 8, 10, 16};
    struct library l;

    (void)state;
#define CASE(parts, statement)                                                                     \
    l = usual_library();                                                                           \
    statement;                                                                                     \
    assert_parts(&l, sizeof(parts) / sizeof *(parts) / 2, parts)

    CASE(with_fatbin, l.sections[FATBIN].sh_size = 3 * MB);
    CASE(with_fatbin, l.sections[FATBIN].sh_name = l.sections[RODATA].sh_name);
    CASE(with_fatbin, l.sections[FATBIN].sh_flags |= SHF_EXECINSTR);
    CASE(with_fatbin, l.sections[FATBIN].sh_flags = 0);
    CASE(with_fatbin, l.sections[FATBIN].sh_type = SHT_NOTE);
    CASE(with_fatbin, l.sections[FATBIN].sh_addr += 4096);
    CASE(with_fatbin, l.sections[FATBIN].sh_size = 8 * MB);
    CASE(with_fatbin, l.sections[FATBIN].sh_offset = UINT64_MAX - 4096);
    CASE(with_fatbin, l.sections[RODATA].sh_offset = 6 * MB);
    CASE(with_fatbin, l.dynamic[0].d_un.d_ptr = 2 * MB);
    CASE(with_fatbin, l.segments[NOTE].p_offset = 2 * MB);
    CASE(with_fatbin,
         l.segments[NOTE] = ((Elf64_Phdr){PT_LOAD, PF_R | PF_W, 5 * MB, 20 * MB, 0, MB, MB, 4096}));
    CASE(with_ldata, (l.relocations[0].r_offset = 12 * MB + MB / 2,
                      l.relocations[1].r_offset = 14 * MB + MB / 4));
    CASE(with_ldata, l.dynamic[2].d_un.d_val = 100 * MB);
    CASE(with_ldata, l.dynamic[3] = ((Elf64_Dyn){36 - 1 /* DT_RELRSZ */, {16}}));
    CASE(with_ldata, l.dynamic[3] = ((Elf64_Dyn){DT_RELSZ, {16}}));
#undef CASE
}

static void without_sound_tables_only_holes_are_left_out(void **state)
{
    const int holes[] = {0, 8, 10, 16};
    struct library l;

    (void)state;
#define CASE(statement)                                                                            \
    l = usual_library();                                                                           \
    statement;                                                                                     \
    assert_parts(&l, 2, holes)

    CASE(l.header.e_shnum = 0);
    CASE(l.header.e_shoff = 1ULL << 40);
    CASE(l.header.e_shoff = UINT64_MAX - 8);
    CASE(l.header.e_shstrndx = N_SECTIONS);
    CASE(l.header.e_shentsize = 8);
    CASE(l.sections[NAMES].sh_size = UINT64_MAX);
    CASE(l.segments[DYNAMIC_SEGMENT].p_type = PT_GNU_EH_FRAME);
    CASE(l.dynamic[3].d_tag = DT_TEXTREL);
    CASE(l.dynamic[3] = ((Elf64_Dyn){DT_FLAGS, {DF_TEXTREL}}));
#undef CASE
}

static void what_is_no_sound_library_is_copied_from_its_start(void **state)
{
    struct library l = usual_library();

    (void)state;
    l.header.e_ident[EI_CLASS] = ELFCLASS32;
    assert_parts(&l, 0, NULL);
    l = usual_library();
    l.segments[NOTE].p_filesz = UINT64_MAX;
    assert_parts(&l, 0, NULL);
    l = usual_library();
    l.segments[WRITABLE].p_filesz = UINT64_MAX; /* the first segment remains */
    assert_parts(&l, 0, NULL);
}

/* --- what an earlier run has touched --- */

static void copies_what_was_touched(void **state)
{
    enum { U = MB / EXTENT_ALIGN };
    static const struct record_extent list[] = {{3 * MB, MB},
                                                {7 * MB + EXTENT_ALIGN, MB},
                                                {9 * MB, EXTENT_ALIGN},
                                                {12 * MB, MB},
                                                {40L * MB, MB}};
    /* the headers and tables, what was touched and can be mapped, .dynamic, the end of the segment
     * that is longer in memory; in units of 64 KiB */
    static const int parts[] = {0,      1,          3 * U,  4 * U,  7 * U + 1,  8 * U,
                                10 * U, 10 * U + 1, 12 * U, 13 * U, 16 * U - 1, 16 * U};
    struct library l = usual_library();
    struct mapped m;

    (void)state;
    learnt = list;
    n_learnt = 5;
    m = mapped_of(&l);
    assert_int_equal(m.n, 6);
    for (uint32_t i = 0; i < m.n; i++) {
        assert_int_equal(m.extents[i].offset, parts[2 * i] * (long)EXTENT_ALIGN);
        assert_int_equal(m.extents[i].offset + m.extents[i].length,
                         parts[2 * i + 1] * (long)EXTENT_ALIGN);
    }
    free(m.extents);
    l.dynamic[0].d_un.d_ptr += 8; /* the size of the table is not known: the usual choice */
    assert_parts(&l, 3, (const int[]){0, 1, 7, 8, 10, 11});
    l = usual_library();
    l.dynamic[3].d_tag = DT_TEXTREL;
    assert_parts(&l, 2, (const int[]){0, 8, 10, 16});
    n_learnt = 0;
}

/* --- the copy --- */

static const struct device_map same_devices = {0};
static struct node_cache from;
static struct node_cache to;

static int caches_setup(void **state)
{
    return scratch_setup(state) || node_create(&from, scratch(), 1) ||
           node_create(&to, scratch(), 1);
}

static int caches_teardown(void **state)
{
    segment_detach(&from.index);
    segment_detach(&to.index);
    protected_fd_close(from.lock);
    protected_fd_close(to.lock);
    return scratch_teardown(state);
}

static const struct record *content(uint64_t argument, const char *name)
{
    static const struct lookup_limits limits = {1 << 30};
    const char *path = scratch_path(name);
    struct fi_query q = query_make(RECORD_CONTENT, argument, path, strlen(path));

    return lookup_real(&from, &q, 0, &limits);
}

/* The copy has the bytes of its extents, zeros elsewhere, and the original under its plain name. */
static void assert_partial(const struct node_cache *node, const char *path)
{
    const struct record *r = mirror_library(node, path);
    struct extents parts;
    struct stat real;
    char name[MIRROR_PATH_MAX];
    char plain[MIRROR_PATH_MAX];
    char original[FI_PATH_MAX] = "";
    size_t n;
    size_t m;
    char *a;
    char *b;

    assert_non_null(r);
    parts = extents_of(r);
    assert_int_equal(parts.n, 3);
    assert_true(mirror_copy_path(node, path, extents_version_of(r), name, sizeof name));
    a = scratch_read(path, &n);
    b = scratch_read(name, &m);
    assert_int_equal(n, m);
    for (size_t at = 0; at < n; at += 4096) {
        struct record_extent gap;
        bool is_gap = extents_gap(&parts, at, at + 1, &gap);

        assert_memory_equal(b + at + 2048, is_gap ? "\0\0\0\0\0\0\0" : a + at + 2048, 8);
    }
    free(a);
    free(b);
    assert_true(mirror_path(node, path, plain, sizeof plain));
    assert_true(readlink(plain, original, sizeof original - 1) > 0);
    assert_string_equal(original, path);
    assert_int_equal(stat(name, &real), 0);
    assert_true(real.st_blocks < 5 * MB / 512);
    assert_true(mirror_path_to_original(node, name));
    assert_string_equal(name, path);
}

static void a_partial_copy_travels(void **state)
{
    static char block[300000];
    struct library l = usual_library();
    struct stream_writer w;
    struct stream_reader r;
    size_t n;

    (void)state;
    library_write(&l, "lib.so");
    assert_int_equal(link(scratch_path("lib.so"), scratch_path("twin.so")), 0);
    assert_int_equal(
        ((const struct record_content *)record_payload(content(RECORD_MAPPED, "lib.so")))->size,
        3 * MB);
    assert_true(((const struct record_content *)record_payload(content(RECORD_MAPPED, "twin.so")))
                    ->same_as);
    stream_writer_init(&w, &from);
    stream_reader_init(&r, &to, &same_devices);
    while ((n = stream_write(&w, block, sizeof block)) > 0) {
        stream_read(&r, block, n);
    }
    assert_false(w.broken || r.broken);
    stream_reader_end(&r);
    stream_writer_end(&w);
    for (int i = 0; i < 4; i++) {
        assert_partial(i < 2 ? &from : &to, scratch_path(i % 2 == 0 ? "lib.so" : "twin.so"));
    }
    assert_int_equal(to.index.header->content_bytes, 3 * MB);
}

/* Who opens the file gets the original. A file that was opened before is there in whole. */
static void other_readers_get_the_original(void **state)
{
    struct library l = usual_library();
    char name[MIRROR_PATH_MAX];
    struct stat st;

    (void)state;
    library_write(&l, "lib.so");
    library_write(&l, "read.so");
    content(RECORD_MAPPED, "lib.so");
    assert_true((content(0, "lib.so")->flags & RECORD_UNAVAILABLE) != 0);
    assert_partial(&from, scratch_path("lib.so"));
    assert_false((content(0, "read.so")->flags & RECORD_UNAVAILABLE) != 0);
    content(RECORD_MAPPED, "read.so");
    assert_true(mirror_path(&from, scratch_path("read.so"), name, sizeof name));
    assert_int_equal(lstat(name, &st), 0);
    assert_true(S_ISREG(st.st_mode) && st.st_blocks >= 16 * MB / 512);
}

/* Another version of the file has another copy, so the two are never mixed. */
static void each_version_has_its_copy(void **state)
{
    struct library l = usual_library();
    const struct record *r;
    struct stat st;
    struct extents parts;

    (void)state;
    library_write(&l, "lib.so");
    r = content(RECORD_MAPPED, "lib.so");
    parts = extents_of(r);
    st = ((const struct record_content *)record_payload(r))->st;
    assert_true(extents_version(&parts, &st) == extents_version_of(r));
    st.st_mtim.tv_nsec++;
    assert_true(extents_version(&parts, &st) != extents_version_of(r));
    parts.n--;
    st.st_mtim.tv_nsec--;
    assert_true(extents_version(&parts, &st) != extents_version_of(r));
}

/* It is a file like others, but for its name. */
static void a_partial_copy_is_given_back(void **state)
{
    struct library l = usual_library();
    const char *path = scratch_path("lib.so");
    struct give_back walk;
    char name[MIRROR_PATH_MAX];

    (void)state;
    library_write(&l, "lib.so");
    content(RECORD_MAPPED, "lib.so");
    assert_partial(&from, path);
    assert_true(mirror_copy_path(&from, path, extents_version_of(mirror_library(&from, path)), name,
                                 sizeof name));
    give_back_begin(&walk, &from, GIVE_BACK_HERE);
    while (give_back_some(&walk, 10)) {
    }
    assert_null(mirror_library(&from, path));
    assert_int_equal(access(name, F_OK), -1);
    assert_int_equal(from.index.header->content_bytes, 0);
}

static void faults_make_it_unavailable(void **state)
{
    static const enum fault_call calls[] = {FAULT_sys_pwrite_all, FAULT_sys_link,
                                            FAULT_sys_ftruncate};
    struct library l = usual_library();

    (void)state;
    library_write(&l, "lib.so");
    capture_begin();
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        fault_arm(calls[i], -EIO, 0, 1);
        assert_true((content(RECORD_MAPPED, "lib.so")->flags & RECORD_UNAVAILABLE) != 0);
        assert_null(mirror_library(&from, scratch_path("lib.so")));
    }
    capture_end();
}

#define with_caches(f) cmocka_unit_test_setup_teardown(f, caches_setup, caches_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        scratch_test(leaves_out_holes_and_cold_sections),
        scratch_test(copies_what_is_in_use),
        scratch_test(copies_what_is_relocated),
        scratch_test(without_sound_tables_only_holes_are_left_out),
        scratch_test(what_is_no_sound_library_is_copied_from_its_start),
        scratch_test(copies_what_was_touched),
        with_caches(a_partial_copy_travels),
        with_caches(other_readers_get_the_original),
        with_caches(each_version_has_its_copy),
        with_caches(a_partial_copy_is_given_back),
        with_caches(faults_make_it_unavailable),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
