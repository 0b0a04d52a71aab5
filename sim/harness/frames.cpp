#include "frames.h"

#include <algorithm>
#include <cstring>

namespace frames {
namespace {

constexpr uint8_t START[PREAMBLE] = {0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xd5};
constexpr size_t MAC_HEADER = 14, IP_HEADER = 20, UDP_HEADER = 8, FCS = 4;
constexpr size_t MIN_BYTES = 60, MAX_BYTES = 1514;  // bytes from the MAC header to before the FCS
constexpr uint16_t TYPE_IP = 0x0800, TYPE_ARP = 0x0806;
constexpr uint8_t PROTOCOL_UDP = 17;
constexpr uint8_t ARP_HEAD[] = {0, 1, 8, 0, 6, 4};  // Ethernet, IPv4, sizes of their addresses

void put16(Bytes& bytes, uint16_t value) {
    bytes.push_back(static_cast<uint8_t>(value >> 8));
    bytes.push_back(static_cast<uint8_t>(value));
}

void put32(Bytes& bytes, uint32_t value) {
    put16(bytes, static_cast<uint16_t>(value >> 16));
    put16(bytes, static_cast<uint16_t>(value));
}

template <class Range> void put(Bytes& bytes, const Range& range) {
    bytes.insert(bytes.end(), std::begin(range), std::end(range));
}

uint16_t get16(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }
uint32_t get32(const uint8_t* at) { return uint32_t{get16(at)} << 16 | get16(at + 2); }

// The Internet checksum of RFC 1071; 0 over a header with its checksum.
uint16_t sum_of(const uint8_t* at, size_t size) {
    uint32_t sum = 0;
    for (size_t i = 0; i < size; i += 2) sum += get16(at + i);
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<uint16_t>(~sum);
}

std::array<uint32_t, 256> crc_table() {
    std::array<uint32_t, 256> table{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        table[byte] = crc;
    }
    return table;
}

// CRC-32 of IEEE 802.3, sent with its low byte first.
uint32_t crc_of(const uint8_t* at, size_t size) {
    static const std::array<uint32_t, 256> table = crc_table();
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < size; ++i) crc = crc >> 8 ^ table[(crc ^ at[i]) & 0xff];
    return ~crc;
}

Bytes begin(const Mac& to, const Mac& from, uint16_t type) {
    Bytes frame;
    frame.reserve(PREAMBLE + MAX_BYTES + FCS);
    put(frame, START);
    put(frame, to);
    put(frame, from);
    put16(frame, type);
    return frame;
}

Bytes end(Bytes frame) {
    frame.resize(std::max(frame.size(), PREAMBLE + MIN_BYTES));
    const uint32_t crc = crc_of(frame.data() + PREAMBLE, frame.size() - PREAMBLE);
    for (int shift = 0; shift < 32; shift += 8) frame.push_back(static_cast<uint8_t>(crc >> shift));
    return frame;
}

Mac mac_at(const uint8_t* at) {
    Mac mac;
    std::copy_n(at, mac.size(), mac.begin());
    return mac;
}

Parsed parse_arp(const uint8_t* at, const Node& host) {
    Parsed parsed;
    const uint16_t operation = get16(at + 6);
    if (std::memcmp(at, ARP_HEAD, sizeof ARP_HEAD) || get32(at + 24) != host.address) return parsed;
    parsed.from = {mac_at(at + 8), get32(at + 14)};
    if (operation == REQUEST) parsed.kind = Parsed::ARP_REQUEST;
    if (operation == REPLY && mac_at(at + 18) == host.mac) parsed.kind = Parsed::ARP_REPLY;
    return parsed;
}

Parsed parse_ip(const uint8_t* at, size_t size, const Mac& from, const Node& host) {
    Parsed parsed;
    const uint8_t* const udp = at + IP_HEADER;
    const size_t total = get16(at + 2), length = get16(udp + 4);
    const bool whole = !(get16(at + 6) & 0x3fff);  // not a fragment
    if (at[0] != 0x45 || total > size || !whole || at[9] != PROTOCOL_UDP) return parsed;
    if (sum_of(at, IP_HEADER) || get32(at + 16) != host.address) return parsed;
    if (length < UDP_HEADER || IP_HEADER + length != total) return parsed;
    return {Parsed::UDP, {from, get32(at + 12)}, get16(udp), get16(udp + 2), udp + UDP_HEADER,
            length - UDP_HEADER};
}

}  // namespace

Bytes udp(const Node& from, const Node& to, uint16_t from_port, uint16_t to_port,
          const uint8_t* data, size_t size) {
    Bytes frame = begin(to.mac, from.mac, TYPE_IP);
    put16(frame, 0x4500);  // version 4, a header of 5 words
    put16(frame, static_cast<uint16_t>(IP_HEADER + UDP_HEADER + size));
    put32(frame, 0x00004000);  // do not fragment
    put32(frame, 64 << 24 | PROTOCOL_UDP << 16);  // hop limit; the checksum is set below
    put32(frame, from.address);
    put32(frame, to.address);
    uint8_t* const header = frame.data() + PREAMBLE + MAC_HEADER;
    const uint16_t sum = sum_of(header, IP_HEADER);
    header[10] = static_cast<uint8_t>(sum >> 8);
    header[11] = static_cast<uint8_t>(sum);
    put16(frame, from_port);
    put16(frame, to_port);
    put32(frame, static_cast<uint32_t>(UDP_HEADER + size) << 16);  // no UDP checksum
    frame.insert(frame.end(), data, data + size);
    return end(std::move(frame));
}

Bytes arp(uint16_t operation, const Node& from, const Node& to) {
    Bytes frame = begin(operation == REQUEST ? BROADCAST : to.mac, from.mac, TYPE_ARP);
    put(frame, ARP_HEAD);
    put16(frame, operation);
    put(frame, from.mac);
    put32(frame, from.address);
    put(frame, operation == REQUEST ? Mac{} : to.mac);
    put32(frame, to.address);
    return end(std::move(frame));
}

Parsed parse(const Bytes& frame, const Node& host) {
    constexpr size_t LEAD = PREAMBLE + FCS;
    if (frame.size() < LEAD + MIN_BYTES || frame.size() > LEAD + MAX_BYTES) return {};
    if (std::memcmp(frame.data(), START, PREAMBLE)) return {};
    const uint8_t* const at = frame.data() + PREAMBLE;
    const size_t size = frame.size() - PREAMBLE - FCS;
    const uint32_t crc = crc_of(at, size);
    for (size_t i = 0; i < FCS; ++i)
        if (at[size + i] != static_cast<uint8_t>(crc >> (8 * i))) return {};
    const Mac to = mac_at(at);
    if (to != host.mac && to != BROADCAST) return {};
    const uint16_t type = get16(at + 12);
    if (type == TYPE_ARP) return parse_arp(at + MAC_HEADER, host);
    if (type == TYPE_IP) return parse_ip(at + MAC_HEADER, size - MAC_HEADER, mac_at(at + 6), host);
    return {};
}

}  // namespace frames
