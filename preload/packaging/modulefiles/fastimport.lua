-- SPDX-License-Identifier: BSD-3-Clause
-- For Lmod. It finds its installation by its own place, PREFIX/share/lmod/modulefiles/fastimport/VERSION.lua.
local root = myFileName():gsub("/share/lmod/modulefiles/.*$", "")

help([[
fastimport starts thousands of Pythons at once without melting the shared file system:

    fastimport run -- srun python app.py

See fastimport(1), fastimport(7) and python-mpi-bcast(1).
]])
whatis("Name: fastimport")
whatis("Version: " .. myModuleVersion())
whatis("Description: fast start of Python on many nodes")

prepend_path("PATH", pathJoin(root, "bin"))
prepend_path("MANPATH", pathJoin(root, "share/man"))
