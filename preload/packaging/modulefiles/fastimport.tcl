#%Module1.0
# SPDX-License-Identifier: BSD-3-Clause
# For Environment Modules. It finds its installation by its own place, PREFIX/share/modulefiles/fastimport/VERSION.
set root [file normalize $ModulesCurrentModulefile/../../../..]

proc ModulesHelp {} {
    puts stderr "fastimport starts thousands of Pythons at once without melting the shared file system:

    fastimport run -- srun python app.py

See fastimport(1), fastimport(7) and python-mpi-bcast(1)."
}
module-whatis "fast start of Python on many nodes"

prepend-path PATH $root/bin
prepend-path MANPATH $root/share/man
