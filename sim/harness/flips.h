// Flips bits on a line, each with the same probability, from a seed.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

class Flips {
  public:
    // ppm: bits per million, 0 = none.
    Flips(uint64_t seed, uint64_t ppm) : random_(seed * 2 + 1), chance_(double(ppm) * 1e-6) {
        for (int i = 0; i < 16; ++i) distance();  // the first numbers of a small seed are small
        left_ = distance();
    }
    uint64_t count() const { return count_; }

    // Passes bits on, some of them flipped.
    void pass(uint8_t* bytes, size_t size) {
        const uint64_t bits = 8 * uint64_t{size};
        for (; left_ < bits; left_ += 1 + distance()) {
            bytes[left_ / 8] ^= static_cast<uint8_t>(1 << left_ % 8);
            ++count_;
        }
        left_ -= bits;
    }

  private:
    // The number of unchanged bits before the next flip: a geometric distribution.
    uint64_t distance() {
        if (chance_ <= 0) return UINT64_MAX / 2;
        random_ ^= random_ << 13;
        random_ ^= random_ >> 7;
        random_ ^= random_ << 17;
        const double uniform = double((random_ >> 11) + 1) * 0x1p-53;  // above 0, up to 1
        return static_cast<uint64_t>(std::log(uniform) / std::log1p(-chance_));
    }

    uint64_t random_;
    double chance_;
    uint64_t left_;
    uint64_t count_ = 0;
};
