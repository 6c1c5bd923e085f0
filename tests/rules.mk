# tests: programs and tests
