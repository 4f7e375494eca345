// SPDX-License-Identifier: Apache-2.0
// Templates, to be instantiated by name expression: --name 'example::map<float, example::Square>'.
// The lowered name that is reported finds the kernel in the module. Any launch shape.

namespace example {

struct Square {
    template <typename T> __device__ T operator()(T value) const {
        return value * value;
    }
};

struct Relu {
    template <typename T> __device__ T operator()(T value) const {
        return value > T(0) ? value : T(0);
    }
};

template <typename T, typename Function>
__global__ void map(const T *__restrict__ x, T *__restrict__ y, unsigned n) {
    Function function;

    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        y[i] = function(x[i]);
}

template <int DEGREE>
__global__ void horner(const double *__restrict__ x, double *__restrict__ y,
                       const double *__restrict__ coefficients, unsigned n) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x;

    if (i >= n)
        return;
    double value = coefficients[DEGREE];

#pragma unroll
    for (int k = DEGREE - 1; k >= 0; k--)
        value = fma(value, x[i], coefficients[k]);
    y[i] = value;
}

} // namespace example
