// What Verilator's FST writer asks of zlib, without zlib. The writer keeps whichever is smaller,
// its data or the compressed data; this one is never smaller, so the data is stored as it is.
#pragma once

using Bytef = unsigned char;
using uLong = unsigned long;
using uLongf = unsigned long;
constexpr int Z_OK = 0;

inline uLong compressBound(uLong size) { return size + 1; }

inline int compress2(Bytef*, uLongf* size, const Bytef*, uLong from, int) {
    *size = from + 1;
    return Z_OK;
}
