/* SPDX-License-Identifier: Apache-2.0 */
#include "maintain/libarchive.h"

#include "util/error.h"

#ifdef HAVE_LIBARCHIVE
#include <pthread.h>

#include "os/dl.h"

#define FILE_NAME "libarchive.so.13" /* all versions of libarchive 3 */

static struct libarchive library;
static const char *missing = FILE_NAME;
static bool short_of_memory;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void) {
    static const struct dl_symbol SYMBOLS[] = {
#define X(name) {#name, (void **)&library.name},
        LIBARCHIVE_FUNCTIONS(X)
#undef X
            {NULL, NULL}};
    void *handle;
    int result = dl_open(FILE_NAME, &handle);

    short_of_memory = result == CUBBY_ERR_NO_MEMORY;
    if (result == 0 && dl_resolve(handle, SYMBOLS, &missing))
        missing = NULL;
}

int libarchive_load(const struct libarchive **ret_library, struct cubby_error *error) {
    pthread_once(&once, load);
    if (short_of_memory)
        return error_no_memory(error);
    if (missing)
        return error_set(error, CUBBY_ERR_UNSUPPORTED,
                         "export and import need libarchive 3, and %s was not found: install it "
                         "(Debian: libarchive13)",
                         missing);
    *ret_library = &library;
    return 0;
}
#else
int libarchive_load(const struct libarchive **ret_library, struct cubby_error *error) {
    (void)ret_library;
    return error_set(
        error, CUBBY_ERR_UNSUPPORTED,
        "this build of Cubby has no libarchive, which export and import need: build it "
        "without --without-libarchive");
}
#endif
