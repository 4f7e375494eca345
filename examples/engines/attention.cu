// SPDX-License-Identifier: Apache-2.0
// Attention in three steps: scores = q k^T / sqrt(head), softmax of each row, out = scores v.
// Tensors are [batch, heads, tokens, head]; scores are [batch, heads, tokens, tokens].
//
// A warp works on one row. How many numbers of a head each lane keeps is known when the size of a head
// is: then they stay in registers, and their loops are unrolled.

#define WARP 32
#define ALL 0xffffffffu

#ifdef CUBBY_DIM_head
#define LANE_NUMBERS ((CUBBY_DIM_head + WARP - 1) / WARP)
#define SPECIALISE_HEAD head = CUBBY_DIM_head
#else
#define LANE_NUMBERS (256 / WARP) /* the greatest head that the engine allows */
#define SPECIALISE_HEAD
#endif
#ifdef CUBBY_DIM_tokens
#define SPECIALISE_TOKENS tokens = CUBBY_DIM_tokens
#else
#define SPECIALISE_TOKENS
#endif

static __device__ __forceinline__ float sum_of_warp(float value) {
    for (int distance = WARP / 2; distance > 0; distance /= 2)
        value += __shfl_xor_sync(ALL, value, distance);
    return value;
}

static __device__ __forceinline__ float max_of_warp(float value) {
    for (int distance = WARP / 2; distance > 0; distance /= 2)
        value = fmaxf(value, __shfl_xor_sync(ALL, value, distance));
    return value;
}

// Token of this warp, of the batch and head blockIdx.y; the last block may have warps that have none.
static __device__ __forceinline__ int warp_token() {
    return blockIdx.x * blockDim.y + threadIdx.y;
}

extern "C" __global__ void attention_scores(const float *__restrict__ q, const float *__restrict__ k,
                                            float *__restrict__ scores, int tokens, int head) {
    SPECIALISE_TOKENS;
    SPECIALISE_HEAD;
    float scale = rsqrtf((float)head);
    int token = warp_token(), lane = threadIdx.x;
    const float *query = q + ((long long)blockIdx.y * tokens + token) * head;
    const float *keys = k + (long long)blockIdx.y * tokens * head;
    float *row = scores + ((long long)blockIdx.y * tokens + token) * tokens;
    float kept[LANE_NUMBERS];

    if (token >= tokens)
        return;
#pragma unroll
    for (int i = 0; i < LANE_NUMBERS; i++)
        kept[i] = i * WARP + lane < head ? query[i * WARP + lane] * scale : 0.0f;
    for (int other = 0; other < tokens; other++) {
        float sum = 0.0f;

#pragma unroll
        for (int i = 0; i < LANE_NUMBERS; i++) {
            if (i * WARP + lane < head)
                sum += kept[i] * keys[(long long)other * head + i * WARP + lane];
        }
        sum = sum_of_warp(sum);
        if (lane == 0)
            row[other] = sum;
    }
}

extern "C" __global__ void attention_softmax(float *scores, int tokens) {
    SPECIALISE_TOKENS;
    int token = warp_token(), lane = threadIdx.x;
    float *row = scores + ((long long)blockIdx.y * tokens + token) * tokens;
    float greatest = -__int_as_float(0x7f800000), sum = 0.0f;

    if (token >= tokens)
        return;
    for (int i = lane; i < tokens; i += WARP)
        greatest = fmaxf(greatest, row[i]);
    greatest = max_of_warp(greatest);
    for (int i = lane; i < tokens; i += WARP) {
        row[i] = __expf(row[i] - greatest);
        sum += row[i];
    }
    sum = sum_of_warp(sum);
    for (int i = lane; i < tokens; i += WARP)
        row[i] /= sum;
}

extern "C" __global__ void attention_mix(const float *__restrict__ scores,
                                         const float *__restrict__ v, float *__restrict__ out,
                                         int tokens, int head) {
    SPECIALISE_TOKENS;
    SPECIALISE_HEAD;
    int token = warp_token(), lane = threadIdx.x;
    const float *row = scores + ((long long)blockIdx.y * tokens + token) * tokens;
    const float *values = v + (long long)blockIdx.y * tokens * head;
    float *result = out + ((long long)blockIdx.y * tokens + token) * head;
    float sums[LANE_NUMBERS] = {};

    if (token >= tokens)
        return;
    for (int other = 0; other < tokens; other++) {
        float weight = row[other];

#pragma unroll
        for (int i = 0; i < LANE_NUMBERS; i++) {
            if (i * WARP + lane < head)
                sums[i] += weight * values[(long long)other * head + i * WARP + lane];
        }
    }
#pragma unroll
    for (int i = 0; i < LANE_NUMBERS; i++) {
        if (i * WARP + lane < head)
            result[i * WARP + lane] = sums[i];
    }
}
