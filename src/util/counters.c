/* SPDX-License-Identifier: Apache-2.0 */
#include "util/counters.h"

void counters_add(struct cubby_counters *sum, const struct cubby_counters *delta) {
    sum->hits += delta->hits;
    sum->misses += delta->misses;
    sum->compiles += delta->compiles;
    sum->waits += delta->waits;
    sum->puts += delta->puts;
    sum->evictions += delta->evictions;
    sum->corrupt += delta->corrupt;
    sum->dropped += delta->dropped;
    sum->errors += delta->errors;
    sum->compile_ns += delta->compile_ns;
    sum->saved_ns += delta->saved_ns;
}
