# SPDX-License-Identifier: BSD-3-Clause
# An unknown token, and a known one with more letters, stay as they are.
lib 'a/$ORIGINAL/libdep.so'
lib liba.so "$(runpath "$PWD/a/\$ORIGINAL")" -L'a/$ORIGINAL' -l:libdep.so
target=$PWD/liba.so
expect='a/$ORIGINAL/libdep.so liba.so'
