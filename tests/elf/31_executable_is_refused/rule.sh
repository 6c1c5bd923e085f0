# SPDX-License-Identifier: BSD-3-Clause
# A position-independent executable cannot be dlopened.
echo 'int main(void) { return 0; }' | gcc -pie -x c - -o program
target=$PWD/program
expect="NOT_ELF program"
