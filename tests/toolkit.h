/* SPDX-License-Identifier: Apache-2.0 */
/* A toolkit folder made of doubles, which a test may change as it likes. */
#ifndef TESTS_TOOLKIT_H
#define TESTS_TOOLKIT_H

/* Makes FOLDER/lib64 with libnvrtc.so.13 and builtins of that edition (1 or 2; 0 for none), older
 * than the two seconds under which a file's stamps are not trusted. */
void toolkit_make(const char *folder, int edition);

/* Puts a double ("fake_nvvm") into FOLDER/lib64 under that name. */
void toolkit_add(const char *folder, const char *fake, const char *name);

/* Puts other builtins in the place of those there. */
void toolkit_set_builtins(const char *folder, int edition);

/* Makes the environment of this process lead to that toolkit and nowhere else; counts compiles. */
void toolkit_use(const char *folder);

/* How often the double compiled since toolkit_use(). */
unsigned toolkit_compiles(void);

#endif
