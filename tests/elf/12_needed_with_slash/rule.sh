# SPDX-License-Identifier: BSD-3-Clause
# A DT_NEEDED with a slash is a path; no directory is searched.
soname="$PWD/elsewhere/libdep.so" lib elsewhere/libdep.so
lib a/libdep.so
lib liba.so "$(runpath '$ORIGIN/a')" elsewhere/libdep.so
target=$PWD/liba.so
expect="elsewhere/libdep.so liba.so"
