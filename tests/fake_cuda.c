/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A double of the CUDA driver: one device of compute capability 9.0.
 *
 *     FAKE_CUDA_FAIL=FUNCTION=CODE   that function fails with that code
 *     FAKE_CUDA_DEVICES=N            so many devices
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int cuInit(unsigned flags);
int cuDriverGetVersion(int *version);
int cuDeviceGetCount(int *count);
int cuDeviceGet(int *device, int ordinal);
int cuDeviceGetName(char *name, int size, int device);
int cuDeviceGetAttribute(int *value, int attribute, int device);

static int code_of(const char *function) {
    const char *wanted = getenv("FAKE_CUDA_FAIL");
    size_t length = strlen(function);

    if (!wanted || strncmp(wanted, function, length) != 0 || wanted[length] != '=')
        return 0;
    return atoi(wanted + length + 1);
}

int cuInit(unsigned flags) {
    return flags == 0 ? code_of("cuInit") : 1;
}

int cuDriverGetVersion(int *version) {
    *version = 13000;
    return code_of("cuDriverGetVersion");
}

int cuDeviceGetCount(int *count) {
    const char *devices = getenv("FAKE_CUDA_DEVICES");

    *count = devices ? atoi(devices) : 1;
    return code_of("cuDeviceGetCount");
}

int cuDeviceGet(int *device, int ordinal) {
    *device = 70 + ordinal; /* a handle is no ordinal */
    return code_of("cuDeviceGet");
}

int cuDeviceGetName(char *name, int size, int device) {
    snprintf(name, (size_t)size, "Fake GPU %d", device - 70);
    return device == 70 ? code_of("cuDeviceGetName") : 101;
}

/* 75 and 76 are the driver's numbers for the compute capability, major and minor. */
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 75 ? 9 : 0;
    if (device != 70 || (attribute != 75 && attribute != 76))
        return 1;
    return code_of("cuDeviceGetAttribute");
}
