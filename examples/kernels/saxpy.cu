// SPDX-License-Identifier: Apache-2.0
// SAXPY: y = a * x + y. Any launch shape: each thread strides over the whole grid.

extern "C" __global__ void saxpy(float a, const float *__restrict__ x, float *__restrict__ y,
                                 unsigned n) {
    unsigned stride = gridDim.x * blockDim.x;

    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride)
        y[i] = fmaf(a, x[i], y[i]);
}
