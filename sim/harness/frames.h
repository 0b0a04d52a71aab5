// Makes and checks Ethernet frames: preamble, MAC, ARP, IPv4, UDP, frame check sequence.
//
// A frame is everything on the line: 7 x 0x55, 0xd5, MAC header, data padded to 46 bytes, FCS.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace frames {

using Bytes = std::vector<uint8_t>;
using Mac = std::array<uint8_t, 6>;

struct Node {
    Mac mac;
    uint32_t address;  // IPv4
};

constexpr Mac BROADCAST{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr size_t PREAMBLE = 8;      // bytes before the MAC header
constexpr size_t MAX_DATA = 1472;  // bytes of a UDP datagram's data in one frame
constexpr uint16_t REQUEST = 1, REPLY = 2;  // of ARP

Bytes udp(const Node& from, const Node& to, uint16_t from_port, uint16_t to_port,
          const uint8_t* data, size_t size);
Bytes arp(uint16_t operation, const Node& from, const Node& to);

// A received frame. BAD: a network card or an IP stack would not pass it on.
struct Parsed {
    enum Kind { BAD, ARP_REQUEST, ARP_REPLY, UDP } kind = BAD;
    Node from{};
    uint16_t from_port = 0, to_port = 0;
    const uint8_t* data = nullptr;  // UDP: inside the frame
    size_t size = 0;
};

// Parses a frame to `host`; checks preamble, FCS, lengths, addresses and the IP header's checksum.
Parsed parse(const Bytes& frame, const Node& host);

}  // namespace frames
