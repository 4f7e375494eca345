/* SPDX-License-Identifier: Apache-2.0 */
#include "os/random_name.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "os/process.h"
#include "os/time.h"

void random_name(char ret_name[RANDOM_NAME_SIZE]) {
    unsigned char bytes[RANDOM_NAME_SIZE / 2];

    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes)) {
        uint64_t fallback[2] = {monotonic_ns(), (uint64_t)process_id()};

        memcpy(bytes, fallback, sizeof(bytes));
    }
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(ret_name + 2 * i, 3, "%02x", bytes[i]);
}
