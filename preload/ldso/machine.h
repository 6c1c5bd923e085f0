/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * machine.h - the relocation types of this machine that store the address of a symbol.
 *
 * Source: the processor supplements of the ELF gABI (psABI), as <elf.h> names them. On a machine
 * that is not listed here MACHINE_ABSOLUTE is 0, and features that need these types are off.
 */
#ifndef FASTIMPORT_LDSO_MACHINE_H
#define FASTIMPORT_LDSO_MACHINE_H

#include <elf.h>

#if defined __x86_64__
enum {
    MACHINE_ABSOLUTE = R_X86_64_64,
    MACHINE_GLOB_DAT = R_X86_64_GLOB_DAT,
    MACHINE_JUMP_SLOT = R_X86_64_JUMP_SLOT,
};
#elif defined __aarch64__
enum {
    MACHINE_ABSOLUTE = R_AARCH64_ABS64,
    MACHINE_GLOB_DAT = R_AARCH64_GLOB_DAT,
    MACHINE_JUMP_SLOT = R_AARCH64_JUMP_SLOT,
};
#elif defined __powerpc64__
enum {
    MACHINE_ABSOLUTE = R_PPC64_ADDR64,
    MACHINE_GLOB_DAT = R_PPC64_GLOB_DAT,
    MACHINE_JUMP_SLOT = R_PPC64_JMP_SLOT,
};
#elif defined __riscv && __riscv_xlen == 64
enum {
    MACHINE_ABSOLUTE = R_RISCV_64,
    MACHINE_GLOB_DAT = R_RISCV_64,
    MACHINE_JUMP_SLOT = R_RISCV_JUMP_SLOT,
};
#elif defined __s390x__
enum {
    MACHINE_ABSOLUTE = R_390_64,
    MACHINE_GLOB_DAT = R_390_GLOB_DAT,
    MACHINE_JUMP_SLOT = R_390_JMP_SLOT,
};
#else
enum { MACHINE_ABSOLUTE = 0, MACHINE_GLOB_DAT = 0, MACHINE_JUMP_SLOT = 0 };
#endif

#define MACHINE_RELOCATION_TYPE(info)   ELF64_R_TYPE(info)
#define MACHINE_RELOCATION_SYMBOL(info) ELF64_R_SYM(info)

#endif
