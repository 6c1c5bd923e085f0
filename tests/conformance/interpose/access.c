/* SPDX-License-Identifier: BSD-3-Clause */
/* access, faccessat, eaccess, euidaccess. */
#include "tests/conformance/interpose/family.h"
#include "tests/conformance/interpose/transcript.h"

#include <fcntl.h>
#include <unistd.h>

static const int modes[] = {F_OK, R_OK, W_OK, X_OK, R_OK | X_OK, R_OK | W_OK | X_OK, 8, -1};

static void access_by_path(const char *path)
{
    for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
        tr_ret(TRY(access(path, modes[m])), "access(%s, %d)", tr_q(path), modes[m]);
        tr_ret(TRY(eaccess(path, modes[m])), "eaccess(%s, %d)", tr_q(path), modes[m]);
        tr_ret(TRY(euidaccess(path, modes[m])), "euidaccess(%s, %d)", tr_q(path), modes[m]);
    }
}

static void access_by_dirfd(int dirfd, const char *path)
{
    static const int flags[] = {
        0,         AT_EACCESS, AT_SYMLINK_NOFOLLOW, AT_EACCESS | AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH,
        0x40000000};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
            tr_ret(TRY(faccessat(dirfd, path, modes[m], flags[i])), "faccessat(%s, %d, %x)",
                   tr_q(path), modes[m], flags[i]);
        }
    }
}

void family_run(const struct family *f)
{
    for (size_t i = 0; i < f->n_paths; i++) {
        const char *rel = f->paths[i], *abs = family_abs(f, rel);
        access_by_path(rel);
        access_by_path(abs);
        access_by_dirfd(f->dirfd, rel);
        access_by_dirfd(AT_FDCWD, abs);
    }
    tr_ret(TRY(faccessat(-1, "pkg", F_OK, 0)), "faccessat -1");
    tr_ret(TRY(faccessat(9999, "pkg", F_OK, 0)), "faccessat 9999");
}
