/* SPDX-License-Identifier: Apache-2.0 */
/* Names for temporary files. */
#ifndef CUBBY_OS_RANDOM_NAME_H
#define CUBBY_OS_RANDOM_NAME_H

/* Characters of such a name, the final NUL included. */
#define RANDOM_NAME_SIZE 33

/* 128 random bits as hexadecimal digits. Where the system has none, O_EXCL has to tell. */
void random_name(char ret_name[RANDOM_NAME_SIZE]);

#endif
