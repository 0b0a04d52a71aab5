// The harness's command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "udp.h"

struct Options {
    int port = 0;                  // --port N: 0 = a free one
    uint64_t cycles = UINT64_MAX;  // --cycles N: end after so many
    uint64_t from = 0, to = 0;     // --trace FROM:TO: cycles from <= c < to are traced
    std::string file;              // --trace-file PATH
    uint64_t stall = 0;            // --stall SEED: all streams at pins stall at random; 0 = never
    std::vector<UdpSockets::Port> udp;     // --udp DEVICE:LOOPBACK, any number of times
    uint32_t device = 0;                   // --device ADDRESS: the device's, such as 192.168.1.50
    uint64_t flip_seed = 0, flip_ppm = 0;  // --flip SEED:PPM: bits of Ethernet frames to flip
    double report = 0;  // --report SECONDS: a line on standard error; 0 = at the end only
    bool attached = false;         // --attached: answer standard input, end with the parent
};

// Throws std::invalid_argument with one sentence.
Options options(int count, char** words);
