// SPDX-License-Identifier: Apache-2.0
// Layer normalisation of each row with scale and shift. One block of 256 threads a row.

constexpr int THREADS = 256;

// The sum over the block, known to every thread.
__device__ float block_sum(float value, float *shared) {
    shared[threadIdx.x] = value;
    __syncthreads();
    for (int width = THREADS / 2; width > 0; width /= 2) {
        if (threadIdx.x < width)
            shared[threadIdx.x] += shared[threadIdx.x + width];
        __syncthreads();
    }
    value = shared[0];
    __syncthreads();
    return value;
}

extern "C" __global__ void __launch_bounds__(THREADS)
    layer_norm(const float *__restrict__ x, const float *__restrict__ scale,
               const float *__restrict__ shift, float *__restrict__ y, int columns, float epsilon) {
    __shared__ float shared[THREADS];
    const float *row = x + (long long)blockIdx.x * columns;
    float *out = y + (long long)blockIdx.x * columns;
    float sum = 0.0f, squares = 0.0f;

    for (int i = threadIdx.x; i < columns; i += THREADS)
        sum += row[i];
    float mean = block_sum(sum, shared) / columns;
    for (int i = threadIdx.x; i < columns; i += THREADS)
        squares += (row[i] - mean) * (row[i] - mean);
    float inverse = rsqrtf(block_sum(squares, shared) / columns + epsilon);
    for (int i = threadIdx.x; i < columns; i += THREADS)
        out[i] = (row[i] - mean) * inverse * scale[i] + shift[i];
}
