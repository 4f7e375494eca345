/* SPDX-License-Identifier: Apache-2.0 */
#include "toolkit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

static char *count_file;

static void copy_file(const char *from, const char *folder, const char *name) {
    char *target = path_in(folder, name), *temporary = path_in(folder, "new");
    size_t size;
    char *data = read_whole(from, &size);

    write_file(temporary, data, size); /* a file in use is replaced, not overwritten */
    ck_assert_int_eq(rename(temporary, target), 0);
    free(temporary);
    free(target);
    free(data);
}

void toolkit_add(const char *folder, const char *fake, const char *name) {
    char *lib = path_in(folder, "lib64");
    char *from;

    ck_assert_int_gt(asprintf(&from, "%s/%s.so", TEST_DOUBLES, fake), 0);
    copy_file(from, lib, name);
    free(from);
    free(lib);
}

void toolkit_set_builtins(const char *folder, int edition) {
    char fake[32];

    snprintf(fake, sizeof(fake), "fake_builtins_%d", edition);
    toolkit_add(folder, fake, "libnvrtc-builtins.so.13.90");
}

void toolkit_make(const char *folder, int edition) {
    char *lib = path_in(folder, "lib64");

    mkdir(folder, 0700);
    ck_assert_int_eq(mkdir(lib, 0700), 0);
    toolkit_add(folder, "fake_nvrtc", "libnvrtc.so.13");
    if (edition > 0)
        toolkit_set_builtins(folder, edition);
    free(lib);
}

void toolkit_use(const char *folder) {
    setenv("CUDA_HOME", folder, 1);
    unsetenv("CUDA_PATH");
    unsetenv("CUBBY_NVRTC");
    unsetenv("LD_LIBRARY_PATH");
    free(count_file);
    count_file = path_in(scratch_dir(), "compiles");
    setenv("FAKE_NVRTC_COUNT", count_file, 1);
}

unsigned toolkit_compiles(void) {
    struct stat status;

    return stat(count_file, &status) == 0 ? (unsigned)status.st_size : 0;
}
