# bench: programs and tests
