# bcast-tool: programs and tests
