// SPDX-License-Identifier: Apache-2.0
// Softmax of each row, one warp a row, in one pass over the row for maximum and sum together
// (online softmax). Block: 32 x rows threads. Grid: ceil(rows / blockDim.y).

struct Running {
    float maximum, sum;
};

__device__ Running merge(Running a, Running b) {
    float maximum = fmaxf(a.maximum, b.maximum);

    if (maximum == -3.4028235e38f)
        return a;
    return {maximum, a.sum * expf(a.maximum - maximum) + b.sum * expf(b.maximum - maximum)};
}

extern "C" __global__ void softmax_rows(const float *__restrict__ x, float *__restrict__ y, int rows,
                                        int columns) {
    int row = blockIdx.x * blockDim.y + threadIdx.y;
    Running running = {-3.4028235e38f, 0.0f};

    if (row >= rows)
        return;
    x += (long long)row * columns;
    y += (long long)row * columns;
    for (int i = threadIdx.x; i < columns; i += 32)
        running = merge(running, {x[i], 1.0f});
    for (int offset = 16; offset > 0; offset /= 2) {
        Running other = {__shfl_xor_sync(0xffffffffu, running.maximum, offset),
                         __shfl_xor_sync(0xffffffffu, running.sum, offset)};

        running = merge(running, other);
    }
    for (int i = threadIdx.x; i < columns; i += 32)
        y[i] = expf(x[i] - running.maximum) / running.sum;
}
