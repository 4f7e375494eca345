// SPDX-License-Identifier: Apache-2.0
// Sum reduction with warp shuffles. Block size: a multiple of 32, at most 1024. The caller zeroes
// *total; each block adds its part to it.

__device__ float warp_sum(float value) {
    for (int offset = 16; offset > 0; offset /= 2)
        value += __shfl_down_sync(0xffffffffu, value, offset);
    return value;
}

extern "C" __global__ void reduce_sum(const float *__restrict__ x, float *total, unsigned n) {
    __shared__ float partial[32];
    unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float sum = 0.0f;

    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        sum += x[i];
    sum = warp_sum(sum);
    if (lane == 0)
        partial[warp] = sum;
    __syncthreads();
    if (warp == 0) {
        sum = lane < blockDim.x / 32 ? partial[lane] : 0.0f;
        sum = warp_sum(sum);
        if (lane == 0)
            atomicAdd(total, sum);
    }
}
