/* SPDX-License-Identifier: Apache-2.0 */
/* A folder that is gone when the program ends. */
#ifndef BENCH_SCRATCH_H
#define BENCH_SCRATCH_H

/* Makes it below TMPDIR or /tmp; borrowed, NULL with errno where that failed. */
const char *scratch_new(void);

/* A new empty folder in it; the name is valid until the next call, NULL where that failed. */
const char *scratch_folder(const char *scratch);

/* Removes a folder and all in it. */
void scratch_remove(const char *path);

#endif
