/* SPDX-License-Identifier: Apache-2.0 */
/* What the figures were measured on: without it they mean nothing. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

#include <jansson.h>

/* A new object: processor, cores, kernel, file system of the folder, date, versions. */
json_t *machine_facts(const char *folder);

#endif
