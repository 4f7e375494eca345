/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The double of the CUDA driver: how calls begin and end, the driver as a whole, its devices. The
 * rules are those of NVIDIA's CUDA driver API documentation, named beside each: [cuName] is the
 * section on that function, [guide] the CUDA C++ Programming Guide. Where these leave something
 * open, the double takes the stricter way and says so.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_cuda_state.h"

struct fake_state fake = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

__thread bool fake_in_callback;

struct counter {
    const char *symbol, *base;
    int version;
    void *address;
    unsigned calls;
};

#define COUNTER(symbol, base, version, parameters) {#symbol, #base, version, (void *)symbol, 0},

static struct counter counters[] = {DRIVER_REQUIRED(COUNTER) DRIVER_OPTIONAL(COUNTER)};
#define COUNTERS (sizeof(counters) / sizeof(*counters))

void *fake_zeroed(size_t size) {
    void *memory = calloc(1, size ? size : 1);

    if (!memory)
        abort();
    return memory;
}

void *fake_grown(void *items, size_t count, size_t size) {
    void *memory = realloc(items, (count ? count : 1) * size);

    if (!memory)
        abort();
    return memory;
}

/* ---- Environment ------------------------------------------------------------------------- */

static long number_of(const char *name, long otherwise) {
    const char *text = getenv(name);

    return text && *text ? atol(text) : otherwise;
}

static void read_environment(void) {
    const char *list = getenv("FAKE_CUDA_SM");

    fake.devices = (int)number_of("FAKE_CUDA_DEVICES", 1);
    if (fake.devices > FAKE_DEVICES_MAX)
        fake.devices = FAKE_DEVICES_MAX;
    fake.version = (int)number_of("FAKE_CUDA_VERSION", 13000);
    fake.sm_count = (unsigned)number_of("FAKE_CUDA_SMS", 132);
    fake.memory = (size_t)number_of("FAKE_CUDA_MEMORY", 1 << 30);
    fake.defer = number_of("FAKE_CUDA_DEFER", 0) != 0;
    fake.eager = number_of("FAKE_CUDA_EAGER", 0) != 0;
    for (int i = 0; i < FAKE_DEVICES_MAX; i++) {
        fake.sm[i] = list && *list ? atoi(list) : i > 0 ? fake.sm[i - 1] : 90;
        list = list ? strchr(list, ',') : NULL;
        list = list ? list + 1 : NULL;
    }
}

/* What a context stands on does not change. */
static void keep_environment(void) {
    if (!fake.objects[FAKE_CONTEXT])
        read_environment();
}

/* The code with which the n-th call of a function is to fail, 0 where it is not. */
static unsigned injected(const struct counter *counter) {
    const char *spec = getenv("FAKE_CUDA_FAIL");
    size_t length = strlen(counter->symbol), base = strlen(counter->base);

    while (spec && *spec) {
        size_t name = strcspn(spec, "@=");
        bool same = (name == length && strncmp(spec, counter->symbol, name) == 0) ||
                    (name == base && strncmp(spec, counter->base, name) == 0);
        unsigned at = spec[name] == '@' ? (unsigned)atoi(spec + name + 1) : 0;
        const char *code = strchr(spec, '=');

        if (same && code && (at == 0 || at == counter->calls))
            return (unsigned)atoi(code + 1);
        spec = strchr(spec, ',');
        spec = spec ? spec + 1 : NULL;
    }
    return 0;
}

/* ---- Calls ------------------------------------------------------------------------------- */

static struct counter *counter_of(const char *function) {
    for (size_t i = 0; i < COUNTERS; i++) {
        if (strcmp(counters[i].symbol, function) == 0)
            return &counters[i];
    }
    abort();
}

/* [cuInit] Everything else gives NOT_INITIALIZED before it; so it does in a forked child, which the
 * driver does not support. */
static bool needs_init(const char *function) {
    return strcmp(function, "cuInit") != 0 && strcmp(function, "cuDriverGetVersion") != 0 &&
           strcmp(function, "cuGetErrorName") != 0;
}

unsigned fake_enter(const char *function) {
    struct counter *counter = counter_of(function);
    unsigned code;

    pthread_mutex_lock(&fake.lock);
    keep_environment();
    counter->calls++;
    if (counter->version > fake.version) {
        fake.violations++;
        return DRIVER_ERROR_NOT_SUPPORTED;
    }
    /* [cuLaunchHostFunc] A host function must not make calls of CUDA's. */
    if (fake_in_callback) {
        fake.violations++;
        return DRIVER_ERROR_NOT_PERMITTED;
    }
    code = injected(counter);
    if (code == 0 && needs_init(function) && (!fake.initialised || fake.pid != getpid()))
        code = DRIVER_ERROR_NOT_INITIALIZED;
    return code;
}

unsigned fake_leave(unsigned code) {
    pthread_mutex_unlock(&fake.lock);
    return code;
}

/* ---- The driver -------------------------------------------------------------------------- */

static unsigned init(unsigned flags) {
    if (flags != 0)
        return DRIVER_ERROR_INVALID_VALUE; /* [cuInit] Flags must be 0 */
    if (fake.initialised && fake.pid != getpid())
        return DRIVER_ERROR_NOT_INITIALIZED;
    if (fake.devices == 0 && getenv("FAKE_CUDA_NO_DEVICE"))
        return DRIVER_ERROR_NO_DEVICE;
    fake.initialised = true;
    fake.pid = getpid();
    return 0;
}

unsigned cuInit(unsigned flags) {
    FAKE_CALL("cuInit", init(flags));
}

static unsigned get_version(int *version) {
    *version = fake.version;
    return 0;
}

unsigned cuDriverGetVersion(int *version) {
    FAKE_CALL("cuDriverGetVersion", get_version(version));
}

#define NAME_CASE(name, number)                                                                    \
    case number:                                                                                   \
        *text = "CUDA_ERROR_" #name;                                                               \
        return 0;

static unsigned name_error(unsigned code, const char **text) {
    switch (code) {
    case 0:
        *text = "CUDA_SUCCESS";
        return 0;
        DRIVER_ERRORS(NAME_CASE)
    default:
        *text = NULL; /* [cuGetErrorName] NULL and INVALID_VALUE where the code is unknown */
        return DRIVER_ERROR_INVALID_VALUE;
    }
}

unsigned cuGetErrorName(unsigned code, const char **text) {
    FAKE_CALL("cuGetErrorName", name_error(code, text));
}

unsigned cuGetProcAddress_v2(const char *symbol, void **address, int version, uint64_t flags,
                             unsigned *status);

/* [cuGetProcAddress] The newest form that the version asked for knows; versions newer than the
 * driver's are INVALID_VALUE; SUCCESS and NULL where there is none. In this form since CUDA 12.0.
 */
__attribute__((visibility("default"))) unsigned cuGetProcAddress_v2(const char *symbol,
                                                                    void **address, int version,
                                                                    uint64_t flags,
                                                                    unsigned *status) {
    const struct counter *best = NULL;

    (void)flags;
    pthread_mutex_lock(&fake.lock);
    keep_environment();
    pthread_mutex_unlock(&fake.lock);
    *address = NULL;
    if (fake.version < 12000)
        return DRIVER_ERROR_NOT_SUPPORTED;
    if (version > fake.version)
        return DRIVER_ERROR_INVALID_VALUE;
    for (size_t i = 0; i < COUNTERS; i++) {
        if (strcmp(counters[i].base, symbol) == 0 && counters[i].version <= version &&
            (!best || counters[i].version > best->version))
            best = &counters[i];
    }
    *address = best ? best->address : NULL;
    if (status)
        *status = best ? 0 : 1;
    return 0;
}

/* ---- Devices ----------------------------------------------------------------------------- */

int fake_ordinal(int device) {
    int ordinal = device - FAKE_HANDLE_BASE;

    return ordinal >= 0 && ordinal < fake.devices ? ordinal : -1;
}

static unsigned get_count(int *count) {
    *count = fake.devices;
    return 0;
}

unsigned cuDeviceGetCount(int *count) {
    FAKE_CALL("cuDeviceGetCount", get_count(count));
}

static unsigned get_device(int *device, int ordinal) {
    if (ordinal < 0 || ordinal >= fake.devices)
        return DRIVER_ERROR_INVALID_DEVICE;
    *device = FAKE_HANDLE_BASE + ordinal;
    return 0;
}

unsigned cuDeviceGet(int *device, int ordinal) {
    FAKE_CALL("cuDeviceGet", get_device(device, ordinal));
}

static unsigned get_name(char *name, int size, int device) {
    if (fake_ordinal(device) < 0)
        return DRIVER_ERROR_INVALID_DEVICE;
    snprintf(name, (size_t)size, "Fake GPU %d", fake_ordinal(device));
    return 0;
}

unsigned cuDeviceGetName(char *name, int size, int device) {
    FAKE_CALL("cuDeviceGetName", get_name(name, size, device));
}

static unsigned get_attribute(int *value, unsigned attribute, int device) {
    static const int FIXED[][2] = {
        {DRIVER_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK, 1024},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, 1024},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y, 1024},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z, 64},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, 0x7fffffff},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y, 65535},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z, 65535},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK, 48 * 1024},
        {DRIVER_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN, 227 * 1024},
        {DRIVER_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 1},
    };
    int ordinal = fake_ordinal(device);

    if (ordinal < 0)
        return DRIVER_ERROR_INVALID_DEVICE;
    for (size_t i = 0; i < sizeof(FIXED) / sizeof(*FIXED); i++) {
        if (attribute == (unsigned)FIXED[i][0]) {
            *value = FIXED[i][1];
            return 0;
        }
    }
    if (attribute == DRIVER_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)
        *value = fake.sm[ordinal] / 10;
    else if (attribute == DRIVER_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)
        *value = fake.sm[ordinal] % 10;
    else if (attribute == DRIVER_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
        *value = (int)fake.sm_count;
    else
        return DRIVER_ERROR_INVALID_VALUE;
    return 0;
}

unsigned cuDeviceGetAttribute(int *value, unsigned attribute, int device) {
    FAKE_CALL("cuDeviceGetAttribute", get_attribute(value, attribute, device));
}

static unsigned get_uuid(struct CUuuid_st *uuid, int device, char form) {
    if (fake_ordinal(device) < 0)
        return DRIVER_ERROR_INVALID_DEVICE;
    memset(uuid, 0, sizeof(*uuid));
    uuid->bytes[0] = form;
    uuid->bytes[1] = (char)fake_ordinal(device);
    return 0;
}

unsigned cuDeviceGetUuid(struct CUuuid_st *uuid, int device) {
    FAKE_CALL("cuDeviceGetUuid", get_uuid(uuid, device, '1'));
}

unsigned cuDeviceGetUuid_v2(struct CUuuid_st *uuid, int device) {
    FAKE_CALL("cuDeviceGetUuid_v2", get_uuid(uuid, device, '2'));
}

static unsigned get_total(size_t *bytes, int device) {
    if (fake_ordinal(device) < 0)
        return DRIVER_ERROR_INVALID_DEVICE;
    *bytes = fake.memory;
    return 0;
}

unsigned cuDeviceTotalMem_v2(size_t *bytes, int device) {
    FAKE_CALL("cuDeviceTotalMem_v2", get_total(bytes, device));
}

/* ---- Controls ---------------------------------------------------------------------------- */

static void reset(void) {
    pthread_mutex_lock(&fake.lock);
    read_environment();
    for (size_t i = 0; i < COUNTERS; i++)
        counters[i].calls = 0;
    fake.violations = 0;
    fake_launches_reset();
    pthread_mutex_unlock(&fake.lock);
}

static unsigned calls(const char *function) {
    unsigned sum = 0;

    pthread_mutex_lock(&fake.lock);
    for (size_t i = 0; i < COUNTERS; i++) {
        if (!function || strcmp(counters[i].symbol, function) == 0)
            sum += counters[i].calls;
    }
    pthread_mutex_unlock(&fake.lock);
    return sum;
}

static unsigned violations(void) {
    unsigned count;

    pthread_mutex_lock(&fake.lock);
    count = fake.violations;
    pthread_mutex_unlock(&fake.lock);
    return count;
}

static size_t launches(void) {
    size_t count;

    pthread_mutex_lock(&fake.lock);
    count = fake_launches();
    pthread_mutex_unlock(&fake.lock);
    return count;
}

static const struct fake_launch *launch(size_t i) {
    const struct fake_launch *found;

    pthread_mutex_lock(&fake.lock);
    found = fake_launch_at(i);
    pthread_mutex_unlock(&fake.lock);
    return found;
}

static void attach(const char *kernel, fake_kernel function, void *data) {
    pthread_mutex_lock(&fake.lock);
    fake_attach(kernel, function, data);
    pthread_mutex_unlock(&fake.lock);
}

static size_t alive(const char *kind) {
    size_t count;

    pthread_mutex_lock(&fake.lock);
    count = fake_alive(kind);
    pthread_mutex_unlock(&fake.lock);
    return count;
}

static size_t pending(void) {
    size_t count;

    pthread_mutex_lock(&fake.lock);
    count = fake_pending();
    pthread_mutex_unlock(&fake.lock);
    return count;
}

static bool step(void) {
    bool done;

    pthread_mutex_lock(&fake.lock);
    done = fake_step();
    pthread_mutex_unlock(&fake.lock);
    return done;
}

const struct fake_cuda *fake_cuda_controls(void);

__attribute__((visibility("default"))) const struct fake_cuda *fake_cuda_controls(void) {
    static const struct fake_cuda CONTROLS = {
        reset,  calls, violations, launches, launch,
        attach, alive, pending,    step,     fake_image_digest};

    return &CONTROLS;
}
