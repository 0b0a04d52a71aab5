// The harness's command line.
#pragma once

#include <cstdint>
#include <string>

struct Options {
    int port = 0;                  // --port N: 0 = a free one
    uint64_t cycles = UINT64_MAX;  // --cycles N: end after so many
    uint64_t from = 0, to = 0;     // --trace FROM:TO: cycles from <= c < to are traced
    std::string file;              // --trace-file PATH
    uint64_t stall = 0;            // --stall SEED: both streams stall at random; 0 = never
    double report = 0;             // --report SECONDS: a line on standard error; 0 = at the end only
    bool attached = false;         // --attached: answer standard input, end with the parent
};

// Throws std::invalid_argument with one sentence.
Options options(int count, char** words);
