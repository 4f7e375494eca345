/* SPDX-License-Identifier: Apache-2.0 */
/* Has specialised kernels become ready when a test says so, and not before. */
#ifndef TESTS_KERNEL_GATE_H
#define TESTS_KERNEL_GATE_H

#include <stdbool.h>

#include <cubby/cubby.h>

/* A cache in memory, in which a kernel is looked for only while the gate is open: it is. All that
 * is asked for while the gate learns comes through it always. */
struct cubby_cache *gate_cache(void);

void gate_learn(bool learns);
void gate_open(bool is_open);

#endif
