/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * version.h - the version of fastimport, as packaging/version says it when this is built.
 *
 * Thread rules: any thread.
 */
#ifndef FASTIMPORT_BASE_VERSION_H
#define FASTIMPORT_BASE_VERSION_H

/* The number, such as "1.2.0" or, between two releases, "1.2.0+3.gabc1234". */
const char *version_number(void);

/* What stands before the number in a file that has been built with it, so that the version of a
 * library can be read without loading it. */
#define VERSION_MARK "fastimport version: "

#endif
