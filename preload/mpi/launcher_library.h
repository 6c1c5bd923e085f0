/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * launcher_library.h - the MPI library that belongs to a launcher.
 *
 * A Python that does not use MPI brings no MPI library, and ld.so need not find one: a module of
 * the centre may put mpiexec into PATH and nothing into LD_LIBRARY_PATH. But the launcher lies in
 * the bin/ of an MPI whose lib/ has the library. Where fastimport is preloaded into the launcher,
 * too, it tells its ranks by an environment variable. mpi/bind.c takes that when it finds no other.
 *
 * Thread rules: the constructor.
 */
#ifndef FASTIMPORT_MPI_LAUNCHER_LIBRARY_H
#define FASTIMPORT_MPI_LAUNCHER_LIBRARY_H

#define LAUNCHER_LIBRARY_VARIABLE "FASTIMPORT_LAUNCHER_MPI"

/* The launcher's side. program: its executable (/proc/self/exe). Sets the variable, or removes it
 * where there is no such library, or where anybody could have put one. */
void launcher_library_tell(const char *program);

#endif
