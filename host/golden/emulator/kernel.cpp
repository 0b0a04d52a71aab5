// DS-CIM layers bit for bit, by table look-ups on 32 bytes at once.
//
// The order of the points does not affect a count, and a point reaches only the row that owns
// its region. So row k of a window adds, for an activation x and a weight w, a small signed number
// T(x, w): how many points of its region lie below both. With at most 16 points that number has
// at most 16 values for one x, by the weight's level (how many thresholds it exceeds): one
// 16-byte table, which `pshufb` looks up for 32 weights in one instruction. Regions with more
// points are cut into chunks of 16, whose counts add up.
//
// Row k of a window reads luts[offsets[k] + 16 * (x as a byte) + code]; a code with its highest
// bit set counts nothing. codes (and signs, +1 or -1) are stored by blocks of 32 outputs, row by row,
// and end in a block of 16 where the outputs, rounded up to 16, are an odd number of 16s. In such
// a block two pixels share the 32 bytes. dscim.host.golden.emulator.layer prepares all of it.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__AVX2__) && !defined(DSCIM_PLAIN)
#define DSCIM_VECTOR
#include <immintrin.h>
#endif

extern "C" {

// Every field of a layer. dscim.host.golden.emulator.description has the same fields, whose places
// are compared with dscim_layer_fields when this library is loaded.
#define LAYER_FIELDS(NUMBER, ARRAY)                                                            \
    NUMBER(height) NUMBER(width) NUMBER(channels)                                              \
    NUMBER(out_height) NUMBER(out_width) NUMBER(outputs)                                       \
    NUMBER(kernel_height) NUMBER(kernel_width) NUMBER(stride_y) NUMBER(stride_x)               \
    NUMBER(top) NUMBER(left)                                                                   \
    NUMBER(input_zero) NUMBER(output_zero) NUMBER(low) NUMBER(high)                            \
    NUMBER(kind)            /* EXACT, COUNTED or DEPTHWISE */                                  \
    NUMBER(has_signs)       /* the weights' signs are in `signs`, not in the codes */          \
    NUMBER(chunks)          /* of at most 16 points */                                         \
    NUMBER(byte_rows)       /* rows whose sum cannot overflow int8 */                          \
    NUMBER(decode_shift)    /* a count is worth 1 << decode_shift product units */             \
    NUMBER(has_offset)      /* signed mode offset: minus 128 times the sum of x + 128 */        \
    NUMBER(wide)            /* sums may exceed 32 bits: requantise in 64 */                    \
    NUMBER(single_rounding) /* scale with one rounding, not two */                             \
    NUMBER(padded)          /* outputs, rounded up to 16 */                                    \
    ARRAY(int8_t, codes)                                                                       \
    ARRAY(int8_t, signs)                                                                       \
    ARRAY(int8_t, luts)                                                                        \
    ARRAY(uint32_t, offsets)    /* (chunks, depth) */                                          \
    ARRAY(int16_t, factors)     /* EXACT: (padded / 16, depth / 2, 16, 2) weights; */          \
                                /* DEPTHWISE: (outputs, taps, 256) products by x as a byte */  \
    ARRAY(int64_t, constants)   /* (padded), bias and corrections in product units */          \
    ARRAY(int32_t, multipliers) /* (padded) */                                                 \
    ARRAY(int32_t, shifts)      /* (padded) */

struct Layer {
#define DECLARE_NUMBER(name) int32_t name;
#define DECLARE_ARRAY(type, name) const type* name;
    LAYER_FIELDS(DECLARE_NUMBER, DECLARE_ARRAY)
};

struct Field {
    const char* name;
    int64_t offset, size;  // in bytes
};

#define PLACE(name) {#name, offsetof(Layer, name), sizeof(Layer::name)},
#define PLACE_ARRAY(type, name) PLACE(name)
extern const Field dscim_layer_fields[] = {LAYER_FIELDS(PLACE, PLACE_ARRAY)};
extern const int64_t dscim_layer_field_count = sizeof dscim_layer_fields / sizeof(Field);
}

namespace {

enum Kind { EXACT = 0, COUNTED = 1, DEPTHWISE = 2 };

constexpr int PIXELS = 16;   // gathered at a time
constexpr int VECTORS = 8;   // sums that stay in registers
constexpr int LANES = 32;    // bytes of a vector
constexpr int ROWS = 2032;   // gathered at a time: 16 * 2032 stays within int16
constexpr int STRIDE = ROWS + 80;  // between pixels; not a power of two

using Entries = uint16_t[PIXELS * STRIDE];  // a block of windows: the table entry of each row

// ---- 32 bytes at once: AVX2, or the same in plain C ----

#ifdef DSCIM_VECTOR
using Bytes = __m256i;
inline Bytes nothing() { return _mm256_setzero_si256(); }
inline Bytes load(const int8_t* from) { return _mm256_loadu_si256((const __m256i*)from); }
inline __m128i load_half(const int8_t* from) { return _mm_loadu_si128((const __m128i*)from); }
inline Bytes twice(const int8_t* from) { return _mm256_broadcastsi128_si256(load_half(from)); }
inline Bytes pair(const int8_t* low, const int8_t* high) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_half(low)), load_half(high), 1);
}
inline Bytes look_up(Bytes table, Bytes codes) { return _mm256_shuffle_epi8(table, codes); }
inline Bytes negate(Bytes values, Bytes signs) { return _mm256_sign_epi8(values, signs); }
inline Bytes add(Bytes a, Bytes b) { return _mm256_add_epi8(a, b); }
inline void add_to(int16_t* sums, Bytes values) {
    __m256i *low = (__m256i*)sums, *high = low + 1;
    *low = _mm256_add_epi16(*low, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(values)));
    *high = _mm256_add_epi16(*high, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(values, 1)));
}
#else
struct Bytes { int8_t at[LANES]; };
inline Bytes nothing() { return Bytes{}; }
inline Bytes pair(const int8_t* low, const int8_t* high) {
    Bytes result;
    std::memcpy(result.at, low, 16);
    std::memcpy(result.at + 16, high, 16);
    return result;
}
inline Bytes load(const int8_t* from) { return pair(from, from + 16); }
inline Bytes twice(const int8_t* from) { return pair(from, from); }
inline Bytes look_up(const Bytes& table, const Bytes& codes) {
    Bytes result;
    for (int i = 0; i < LANES; i++)
        result.at[i] = codes.at[i] < 0 ? 0 : table.at[(i & 16) + (codes.at[i] & 15)];
    return result;
}
inline Bytes negate(const Bytes& values, const Bytes& signs) {
    Bytes result;
    for (int i = 0; i < LANES; i++) result.at[i] = int8_t(values.at[i] * signs.at[i]);
    return result;
}
inline Bytes add(const Bytes& a, const Bytes& b) {
    Bytes result;
    for (int i = 0; i < LANES; i++) result.at[i] = int8_t(a.at[i] + b.at[i]);
    return result;
}
inline void add_to(int16_t* sums, const Bytes& values) {
    for (int i = 0; i < LANES; i++) sums[i] = int16_t(sums[i] + values.at[i]);
}
#endif

// ---- windows ----

struct Place { int64_t image; int y, x; };

inline Place place(const Layer& l, int64_t pixel) {
    const int64_t row = pixel / l.out_width;
    return {row / l.out_height, int(row % l.out_height), int(pixel % l.out_width)};
}

inline int depth(const Layer& l) { return l.kernel_height * l.kernel_width * l.channels; }

// Rows first..last-1 of the window of `pixel`, each as entry(x), into `into`.
template <class Entry>
void gather(const Layer& l, const int8_t* x, int64_t pixel, int first, int last, uint16_t* into,
            Entry entry) {
    const Place at = place(l, pixel);
    const int line = l.kernel_width * l.channels;
    const int64_t pitch = int64_t(l.width) * l.channels;
    const int64_t left = int64_t(at.x * l.stride_x - l.left) * l.channels;
    const uint16_t padded = entry(int8_t(l.input_zero));
    for (int ky = first / line; ky * line < last; ky++) {
        const int from = std::max(first - ky * line, 0), to = std::min(last - ky * line, line);
        const int y = at.y * l.stride_y - l.top + ky;
        uint16_t* row = into + (ky * line - first);
        int inside = to, outside = to;
        if (y >= 0 && y < l.height) {
            inside = int(std::clamp<int64_t>(-left, from, to));
            outside = int(std::clamp<int64_t>(pitch - left, inside, to));
        }
        const int8_t* source = x + (at.image * l.height + std::clamp(y, 0, l.height - 1)) * pitch;
        for (int i = from; i < inside; i++) row[i] = padded;
        for (int i = inside; i < outside; i++) row[i] = entry(source[left + i]);
        for (int i = outside; i < to; i++) row[i] = padded;
    }
}

// ---- counts ----

// Adds the counts of `rows` gathered rows and one block of outputs to counts (PIXELS, padded).
// HALF: VECTORS * 2 pixels of 16 outputs; else VECTORS pixels of 32 outputs.
template <bool HALF, bool SIGNS>
void count(const Layer& l, const uint16_t* entries, int rows, const int8_t* codes,
           const int8_t* signs, const uint32_t* offsets, int32_t* counts) {
    constexpr int WIDTH = HALF ? 16 : LANES;
    alignas(32) int16_t sums[VECTORS][LANES] = {};
    for (int start = 0; start < rows; start += l.byte_rows) {
        const int stop = std::min(rows, start + l.byte_rows);
        Bytes bytes[VECTORS];
        for (int v = 0; v < VECTORS; v++) bytes[v] = nothing();
        for (int k = start; k < stop; k++) {
            const int8_t* lut = l.luts + offsets[k];
            const Bytes code = HALF ? twice(codes + k * WIDTH) : load(codes + k * WIDTH);
            Bytes sign = nothing();
            if (SIGNS) sign = HALF ? twice(signs + k * WIDTH) : load(signs + k * WIDTH);
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; v++) {
                const uint16_t* entry = entries + (HALF ? 2 * v : v) * STRIDE + k;
                const Bytes table = HALF ? pair(lut + entry[0], lut + entry[STRIDE])
                                         : twice(lut + entry[0]);
                Bytes value = look_up(table, code);
                if (SIGNS) value = negate(value, sign);
                bytes[v] = add(bytes[v], value);
            }
        }
        for (int v = 0; v < VECTORS; v++) add_to(sums[v], bytes[v]);
    }
    for (int v = 0; v < VECTORS; v++)
        for (int i = 0; i < LANES; i++) {
            const int pixel = HALF ? 2 * v + i / 16 : v;
            counts[pixel * l.padded + i % WIDTH] += sums[v][i];
        }
}

template <bool SIGNS>
void count_block(const Layer& l, const uint16_t* entries, int pixels, int first, int rows,
                 int32_t* counts) {
    const int64_t all = depth(l);
    for (int chunk = 0; chunk < l.chunks; chunk++) {
        const uint32_t* offsets = l.offsets + chunk * all + first;
        for (int o = 0; o < l.padded; o += LANES) {
            const bool half = l.padded - o < LANES;
            const int64_t at = (chunk * l.padded + o) * all + int64_t(first) * (half ? 16 : LANES);
            const int8_t* signs = SIGNS ? l.signs + at : nullptr;
            if (half)
                count<true, SIGNS>(l, entries, rows, l.codes + at, signs, offsets, counts + o);
            else
                for (int p = 0; p < pixels; p += VECTORS)
                    count<false, SIGNS>(l, entries + p * STRIDE, rows, l.codes + at, signs,
                                        offsets, counts + p * l.padded + o);
        }
    }
}

// ---- exact sums ----

// Adds the exact sums of gathered rows (pairs of int16) to counts, for 4 pixels, 16 outputs.
void multiply(const Layer& l, const uint16_t* entries, int pairs, const int16_t* weights,
              int32_t* counts) {
#ifdef DSCIM_VECTOR
    __m256i sums[4][2];
    for (auto& sum : sums) sum[0] = sum[1] = _mm256_setzero_si256();
    for (int k = 0; k < pairs; k++) {
        const __m256i low = _mm256_loadu_si256((const __m256i*)(weights + 32 * k));
        const __m256i high = _mm256_loadu_si256((const __m256i*)(weights + 32 * k + 16));
#pragma GCC unroll 4
        for (int p = 0; p < 4; p++) {
            int32_t both;
            std::memcpy(&both, entries + p * STRIDE + 2 * k, 4);
            const __m256i x = _mm256_set1_epi32(both);
            sums[p][0] = _mm256_add_epi32(sums[p][0], _mm256_madd_epi16(x, low));
            sums[p][1] = _mm256_add_epi32(sums[p][1], _mm256_madd_epi16(x, high));
        }
    }
    for (int p = 0; p < 4; p++)
        for (int half = 0; half < 2; half++) {
            __m256i* into = (__m256i*)(counts + p * l.padded + 8 * half);
            _mm256_storeu_si256(into, _mm256_add_epi32(_mm256_loadu_si256(into), sums[p][half]));
        }
#else
    for (int p = 0; p < 4; p++)
        for (int k = 0; k < 2 * pairs; k++)
            for (int o = 0; o < 16; o++)
                counts[p * l.padded + o] +=
                    int16_t(entries[p * STRIDE + k]) * weights[(k / 2 * 16 + o) * 2 + k % 2];
#endif
}

void multiply_block(const Layer& l, uint16_t* entries, int pixels, int first, int rows,
                    int32_t* counts) {
    const int64_t pairs = (depth(l) + 1) / 2;
    for (int p = 0; p < PIXELS; p++) entries[p * STRIDE + rows] = 0;
    for (int o = 0; o < l.padded; o += 16)
        for (int p = 0; p < pixels; p += 4)
            multiply(l, entries + p * STRIDE, (rows + 1) / 2,
                     l.factors + (o * pairs + first / 2 * 16) * 2, counts + p * l.padded + o);
}

// ---- requantisation ----

// value / 2**right, ties away from zero.
inline int64_t divide(int64_t value, int right) {
    const int64_t mask = (int64_t(1) << right) - 1;
    return (value >> right) + ((value & mask) > (mask >> 1) + (value < 0));
}

// One output of a sum: TensorFlow Lite's reference steps, in 64 bits.
inline int8_t requantise(const Layer& l, int64_t sum, int o) {
    const int left = std::max(l.shifts[o], 0), right = std::max(-l.shifts[o], 0);
    const int64_t wide = int64_t(uint64_t(sum) << left) * l.multipliers[o];
    const int64_t scaled = l.single_rounding
        ? divide(wide, 31 + right) : divide((wide + (int64_t(1) << 30)) >> 31, right);
    return int8_t(std::clamp<int64_t>(scaled + l.output_zero, l.low, l.high));
}

#ifdef DSCIM_VECTOR
// Eight values / 2**right, ties away from zero. above: -1 where a value was rounded down from
// something greater, so that a negative half is not a tie.
inline __m256i divide(__m256i value, __m256i right, __m256i above) {
    const __m256i one = _mm256_set1_epi32(1);
    const __m256i mask = _mm256_sub_epi32(_mm256_sllv_epi32(one, right), one);
    const __m256i tie_stays = _mm256_andnot_si256(above, _mm256_srai_epi32(value, 31));
    const __m256i threshold = _mm256_sub_epi32(_mm256_srli_epi32(mask, 1), tie_stays);
    const __m256i up = _mm256_cmpgt_epi32(_mm256_and_si256(value, mask), threshold);
    return _mm256_sub_epi32(_mm256_srav_epi32(value, right), up);
}

// Bits 31..62 of eight products, of which `even` and `odd` hold every other one.
inline __m256i high_half(__m256i even, __m256i odd) {
    return _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xAA);
}

// Eight products / 2**(31 + right), rounded once: the steps of dscim.gateware.engine.scale.
inline __m256i divide_once(__m256i even, __m256i odd, __m256i right) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i high = high_half(even, odd);
    const __m256i low = _mm256_and_si256(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xAA),
                                         _mm256_set1_epi32(0x7FFFFFFF));
    const __m256i half = _mm256_sub_epi32(_mm256_set1_epi32((1 << 30) - 1),
                                          _mm256_srai_epi32(high, 31));
    const __m256i nudge = _mm256_and_si256(_mm256_cmpgt_epi32(low, half),
                                           _mm256_cmpeq_epi32(right, zero));
    return _mm256_sub_epi32(divide(high, right, _mm256_cmpgt_epi32(low, zero)), nudge);
}

// Eight scaled sums in 32 bits, clamped to the range of outputs minus the output zero point.
inline __m256i scale(const Layer& l, __m256i sum, int o) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i factor = _mm256_loadu_si256((const __m256i*)(l.multipliers + o));
    const __m256i shift = _mm256_loadu_si256((const __m256i*)(l.shifts + o));
    const __m256i right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);
    sum = _mm256_sllv_epi32(sum, _mm256_max_epi32(shift, zero));
    const __m256i even = _mm256_mul_epi32(sum, factor);
    const __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(sum, 32), _mm256_srli_epi64(factor, 32));
    const __m256i half = _mm256_set1_epi64x(1 << 30);
    const __m256i scaled = l.single_rounding
        ? divide_once(even, odd, right)
        : divide(high_half(_mm256_add_epi64(even, half), _mm256_add_epi64(odd, half)), right, zero);
    return _mm256_min_epi32(_mm256_max_epi32(scaled, _mm256_set1_epi32(l.low - l.output_zero)),
                            _mm256_set1_epi32(l.high - l.output_zero));
}

// Up to 16 outputs of 32-bit sums.
inline void requantise16(const Layer& l, const int32_t* counts, int32_t correction, int o,
                         int8_t* out) {
    __m256i scaled[2];
    for (int half = 0; half < 2; half++) {
        int32_t constants[8];
        for (int i = 0; i < 8; i++) constants[i] = int32_t(l.constants[o + 8 * half + i]);
        __m256i sum = _mm256_loadu_si256((const __m256i*)(counts + 8 * half));
        sum = _mm256_sll_epi32(sum, _mm_cvtsi32_si128(l.decode_shift));
        sum = _mm256_add_epi32(sum, _mm256_loadu_si256((const __m256i*)constants));
        sum = _mm256_add_epi32(sum, _mm256_set1_epi32(correction));
        scaled[half] = _mm256_add_epi32(scale(l, sum, o + 8 * half),
                                        _mm256_set1_epi32(l.output_zero));
    }
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(scaled[0], scaled[1]), 0xD8);
    const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words),
                                          _mm256_extracti128_si256(words, 1));
    int8_t all[16];
    _mm_storeu_si128((__m128i*)all, bytes);
    std::memcpy(out, all, std::min(16, l.outputs - o));
}
#endif

inline int64_t sum_of(const Layer& l, int32_t count, int64_t correction, int o) {
    return int64_t(count) * (int64_t(1) << l.decode_shift) + correction + l.constants[o];
}

// Up to 16 outputs of one pixel from o on; `counts` begins with output o.
inline void finish(const Layer& l, const int32_t* counts, int64_t correction, int o, int8_t* out) {
#ifdef DSCIM_VECTOR
    if (!l.wide) return requantise16(l, counts, int32_t(correction), o, out);
#endif
    for (int i = 0; i < std::min(16, l.outputs - o); i++)
        out[i] = requantise(l, sum_of(l, counts[i], correction, o + i), o + i);
}

inline void finish(const Layer& l, const int32_t* counts, int64_t correction, int o,
                   int64_t* out) {
    for (int i = 0; i < std::min(16, l.outputs - o); i++)
        out[i] = sum_of(l, counts[i], correction, o + i);
}

// In single precision; the counts alone are exact in it.
inline void finish(const Layer& l, const int32_t* counts, int64_t correction, int o, float* out) {
    const float unit = float(int64_t(1) << l.decode_shift);
    for (int i = 0; i < std::min(16, l.outputs - o); i++)
        out[i] = float(counts[i]) * unit + float(correction + l.constants[o + i]);
}

// ---- layers ----

// -128 times the sum of x + 128 over a window's gathered rows, which hold 16 * x as a byte.
int64_t offset_correction(const uint16_t* entries, int rows) {
    int64_t total = 0;
    for (int k = 0; k < rows; k++) total += (entries[k] >> 4) ^ 128;
    return -128 * total;
}

template <class Output>
void convolve(const Layer& l, const int8_t* x, int64_t first, int64_t last, Output* out) {
    static thread_local Entries entries;
    std::vector<int32_t> counts(PIXELS * l.padded);
    const int all = depth(l);
    for (int64_t start = first; start < last; start += PIXELS) {
        const int pixels = int(std::min<int64_t>(PIXELS, last - start));
        int64_t corrections[PIXELS] = {};
        std::fill(counts.begin(), counts.end(), 0);
        for (int k = 0; k < all; k += ROWS) {
            const int rows = std::min(ROWS, all - k);
            for (int p = 0; p < pixels; p++) {
                uint16_t* into = entries + p * STRIDE;
                if (l.kind == EXACT)
                    gather(l, x, start + p, k, k + rows, into,
                           [](int8_t value) { return uint16_t(int16_t(value)); });
                else
                    gather(l, x, start + p, k, k + rows, into,
                           [](int8_t value) { return uint16_t(uint8_t(value) << 4); });
                if (l.has_offset) corrections[p] += offset_correction(into, rows);
            }
            for (int p = pixels; p < PIXELS; p++)
                std::fill_n(entries + p * STRIDE, rows, uint16_t(0));
            if (l.kind == EXACT)
                multiply_block(l, entries, pixels, k, rows, counts.data());
            else if (l.has_signs)
                count_block<true>(l, entries, pixels, k, rows, counts.data());
            else
                count_block<false>(l, entries, pixels, k, rows, counts.data());
        }
        for (int p = 0; p < pixels; p++)
            for (int o = 0; o < l.padded; o += 16)
                finish(l, &counts[p * l.padded + o], corrections[p], o,
                       out + (start + p) * l.outputs + o);
    }
}

// Depthwise: each output sums its own channel's products, looked up by weight and activation.
template <class Output>
void convolve_depthwise(const Layer& l, const int8_t* x, int64_t first, int64_t last,
                        Output* out) {
    const int taps = l.kernel_height * l.kernel_width, each = l.outputs / l.channels;
    for (int o = 0; o < l.outputs; o += 16)
        for (int64_t pixel = first; pixel < last; pixel++) {
            const Place at = place(l, pixel);
            int32_t sums[16] = {};
            for (int tap = 0; tap < taps; tap++) {
                const int y = at.y * l.stride_y - l.top + tap / l.kernel_width;
                const int across = at.x * l.stride_x - l.left + tap % l.kernel_width;
                if (y < 0 || y >= l.height || across < 0 || across >= l.width)
                    continue;  // a padded position is the zero point and contributes 0
                const int8_t* source = x + ((at.image * l.height + y) * l.width + across)
                    * int64_t(l.channels);
                for (int i = 0; i < std::min(16, l.outputs - o); i++)
                    sums[i] += l.factors[(int64_t(o + i) * taps + tap) * 256
                                         + uint8_t(source[(o + i) / each])];
            }
            finish(l, sums, 0, o, out + pixel * l.outputs + o);
        }
}

template <class Output>
void run(const Layer& l, const int8_t* x, int64_t first, int64_t last, Output* out) {
    if (l.kind == DEPTHWISE)
        convolve_depthwise(l, x, first, last, out);
    else
        convolve(l, x, first, last, out);
}

}  // namespace

extern "C" {

// Output pixels first..last-1 (counted over all images) of x (N, H, W, C), as int8 into `out`.
void dscim_run(const Layer* layer, const int8_t* x, int64_t first, int64_t last, int8_t* out) {
    run(*layer, x, first, last, out);
}

// The same as sums in product units, bias included.
void dscim_sums(const Layer* layer, const int8_t* x, int64_t first, int64_t last, int64_t* out) {
    run(*layer, x, first, last, out);
}

// The same in single precision, whose 24 bits hold every count but not every exact product.
void dscim_estimates(const Layer* layer, const int8_t* x, int64_t first, int64_t last,
                     float* out) {
    run(*layer, x, first, last, out);
}
}
