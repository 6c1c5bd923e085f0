/* SPDX-License-Identifier: BSD-3-Clause */
/* stub.c - see stub.h */
#include "ldso/stub.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ldso/machine.h"

const int stub_can_call = MACHINE_ABSOLUTE != 0;

/* defined by ld: the header of this library */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

enum { FIXED_ENTRIES = 16 }; /* room in the dynamic section beside the DT_NEEDED entries */

/* The file is one segment, mapped as it is. The strings follow it. */
struct image {
    ElfW(Ehdr) header;
    ElfW(Phdr) segments[3];
    ElfW(Sym) symbols[2];
    ElfW(Rela) relocation;
    ElfW(Addr) constructors[1];
    ElfW(Dyn) dynamic[];
};

struct writer {
    struct image *image;
    char *strings;
    size_t n_entries, strings_size;
};

static size_t stub_add_string(struct writer *w, const char *text)
{
    size_t at = w->strings_size;

    strcpy(w->strings + at, text);
    w->strings_size += strlen(text) + 1;
    return at;
}

static void stub_add_entry(struct writer *w, ElfW(Sxword) tag, size_t value)
{
    w->image->dynamic[w->n_entries].d_tag = tag;
    w->image->dynamic[w->n_entries++].d_un.d_val = value;
}

static void add_constructor(struct writer *w, const char *name)
{
    struct image *m = w->image;

    m->symbols[1].st_name = (ElfW(Word))stub_add_string(w, name);
    m->symbols[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
    m->relocation.r_offset = offsetof(struct image, constructors);
    m->relocation.r_info = ((ElfW(Xword))1 << 32) | MACHINE_ABSOLUTE;
    stub_add_entry(w, DT_RELA, offsetof(struct image, relocation));
    stub_add_entry(w, DT_RELASZ, sizeof m->relocation);
    stub_add_entry(w, DT_RELAENT, sizeof m->relocation);
    stub_add_entry(w, DT_INIT_ARRAY, offsetof(struct image, constructors));
    stub_add_entry(w, DT_INIT_ARRAYSZ, sizeof m->constructors);
}

static void write_dynamic(struct writer *w, const struct stub *stub)
{
    stub_add_string(w, "");
    for (size_t i = 0; i < stub->n_needed; i++) {
        stub_add_entry(w, DT_NEEDED, stub_add_string(w, stub->needed[i]));
    }
    if (stub->rpath != NULL) {
        stub_add_entry(w, DT_RPATH, stub_add_string(w, stub->rpath));
    }
    if (stub->constructor != NULL) {
        add_constructor(w, stub->constructor);
    }
    stub_add_entry(w, DT_SYMTAB, offsetof(struct image, symbols));
    stub_add_entry(w, DT_SYMENT, sizeof(ElfW(Sym)));
    stub_add_entry(w, DT_STRTAB, (size_t)(w->strings - (char *)w->image));
    stub_add_entry(w, DT_STRSZ, w->strings_size);
    stub_add_entry(w, DT_NULL, 0);
}

static void stub_write_header(struct image *m)
{
    m->header = __ehdr_start;
    m->header.e_type = ET_DYN;
    m->header.e_entry = 0;
    m->header.e_phoff = offsetof(struct image, segments);
    m->header.e_phnum = sizeof m->segments / sizeof *m->segments;
    m->header.e_phentsize = sizeof *m->segments;
    m->header.e_shoff = 0;
    m->header.e_shnum = m->header.e_shentsize = m->header.e_shstrndx = 0;
}

/* PT_GNU_STACK is needed: without it ld.so would make the stacks executable. */
static void write_segments(struct image *m, size_t size, size_t n_entries)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t dynamic = offsetof(struct image, dynamic);
    size_t length = n_entries * sizeof *m->dynamic;

    m->segments[0] = (ElfW(Phdr)){.p_type = PT_LOAD,
                                  .p_flags = PF_R | PF_W,
                                  .p_filesz = size,
                                  .p_memsz = size,
                                  .p_align = page};
    m->segments[1] = (ElfW(Phdr)){.p_type = PT_DYNAMIC,
                                  .p_flags = PF_R | PF_W,
                                  .p_offset = dynamic,
                                  .p_vaddr = dynamic,
                                  .p_paddr = dynamic,
                                  .p_filesz = length,
                                  .p_memsz = length,
                                  .p_align = 8};
    m->segments[2] = (ElfW(Phdr)){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W, .p_align = 16};
}

static size_t strings_room(const struct stub *stub)
{
    size_t n = 1;

    for (size_t i = 0; i < stub->n_needed; i++) {
        n += strlen(stub->needed[i]) + 1;
    }
    n += stub->rpath == NULL ? 0 : strlen(stub->rpath) + 1;
    return n + (stub->constructor == NULL ? 0 : strlen(stub->constructor) + 1);
}

void *stub_make(const struct stub *stub, size_t *size)
{
    size_t strings = sizeof(struct image) + (stub->n_needed + FIXED_ENTRIES) * sizeof(ElfW(Dyn));
    struct writer w = {.image = calloc(1, strings + strings_room(stub))};

    if (w.image == NULL) {
        return NULL;
    }
    w.strings = (char *)w.image + strings;
    write_dynamic(&w, stub);
    *size = strings + w.strings_size;
    stub_write_header(w.image);
    write_segments(w.image, *size, w.n_entries);
    return w.image;
}
