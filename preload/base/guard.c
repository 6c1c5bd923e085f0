/* guard.c - see guard.h */
#include "base/guard.h"

__thread int fi_guard_depth;
