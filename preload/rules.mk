# preload: programs and tests

include preload/elf/rules.mk
