# preload: programs and tests
