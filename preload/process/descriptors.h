/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * descriptors.h - finds the descriptors by which MPI, initialised for fastimport, speaks to the
 * launcher and to other ranks: those that are new after MPI was opened.
 *
 * They are noted in base/protected_fd.h, so that a program that closes what it did not open spares them.
 *
 * Calling order: descriptors_save() before MPI is opened, descriptors_hold_new() after. Thread
 * rules: for the constructor, before the program runs.
 */
#ifndef FASTIMPORT_PROCESS_DESCRIPTORS_H
#define FASTIMPORT_PROCESS_DESCRIPTORS_H

#include "base/protected_fd.h"

/* A bit for each open descriptor below PROTECTED_FD_LIMIT. */
struct descriptors {
    uint64_t bits[PROTECTED_FD_LIMIT / 64];
};

/* Notes which descriptors are open; none, where /proc cannot be read. */
void descriptors_save(struct descriptors *descriptors);

/* Holds those that have been opened since (PROTECTED_MPI). */
void descriptors_hold_new(const struct descriptors *before);

#endif
