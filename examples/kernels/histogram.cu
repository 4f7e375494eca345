// SPDX-License-Identifier: Apache-2.0
// Histogram of bytes, privatised: each block counts in shared memory and adds its counts at the
// end. The caller zeroes the 256 bins. Any launch shape.

extern "C" __global__ void histogram(const unsigned char *__restrict__ data, unsigned *bins,
                                     unsigned long long n) {
    __shared__ unsigned counts[256];

    for (unsigned bin = threadIdx.x; bin < 256; bin += blockDim.x)
        counts[bin] = 0;
    __syncthreads();
    for (unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x; i < n;
         i += gridDim.x * (unsigned long long)blockDim.x)
        atomicAdd(&counts[data[i]], 1u);
    __syncthreads();
    for (unsigned bin = threadIdx.x; bin < 256; bin += blockDim.x) {
        if (counts[bin] > 0)
            atomicAdd(&bins[bin], counts[bin]);
    }
}
