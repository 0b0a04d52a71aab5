#include "ethernet.h"

#include <cstring>

using frames::Bytes;
using frames::Parsed;

Ethernet::Ethernet(const Options& chosen)
    : sockets_(chosen.udp), to_soc_(2 * chosen.flip_seed, chosen.flip_ppm),
      to_host_(2 * chosen.flip_seed + 1, chosen.flip_ppm),
      device_{frames::BROADCAST, chosen.device} {}

bool Ethernet::exchange(uint64_t cycle) {
    const uint64_t before = sockets_.sent();
    receive(cycle);
    const bool took = sockets_.take();
    if (!waiting()) {
        in_.clear();
        head_ = 0;
        for (Bytes& reply : replies_) put(std::move(reply));
        replies_.clear();
        if (!learned_ && sockets_.waiting()) ask(cycle);
        while (learned_ && cycle >= hold_until_ && in_.size() < BATCH && sockets_.waiting())
            forward(cycle);
    }
    return took || waiting() || sockets_.sent() != before;
}

// Processes the words from the SoC.
void Ethernet::receive(uint64_t cycle) {
    for (const Beat beat : out_) {
        size_t bytes = 4;
        while (beat.last_be && !(beat.last_be >> (bytes - 1))) --bytes;
        for (size_t i = 0; i < bytes; ++i)
            partial_.push_back(static_cast<uint8_t>(beat.data >> (8 * i)));
        if (!beat.last_be) continue;
        if (!judge(std::move(partial_), cycle)) ++bad_;
        partial_.clear();
    }
    out_.clear();
}

// Processes a frame from the SoC; returns whether it was valid.
bool Ethernet::judge(Bytes frame, uint64_t cycle) {
    if (frame.size() > frames::PREAMBLE)
        to_host_.pass(frame.data() + frames::PREAMBLE, frame.size() - frames::PREAMBLE);
    const Parsed parsed = frames::parse(frame, HOST);
    if (parsed.kind == Parsed::BAD || parsed.from.address != device_.address) return false;
    if (parsed.kind == Parsed::ARP_REQUEST) {
        replies_.push_back(frames::arp(frames::REPLY, HOST, parsed.from));
        hold_until_ = cycle + LEARNING;
        return true;
    }
    if (parsed.kind == Parsed::ARP_REPLY) {
        device_.mac = parsed.from.mac;
        learned_ = true;
        return true;
    }
    hold_until_ = 0;
    return sockets_.send(parsed.from_port, parsed.to_port, parsed.data, parsed.size);
}

void Ethernet::ask(uint64_t cycle) {
    if (cycle < ask_at_) return;
    ask_at_ = cycle + PATIENCE;
    put(frames::arp(frames::REQUEST, HOST, device_));
}

// Sends the first waiting datagram. After the very first, the device may ask for our address.
void Ethernet::forward(uint64_t cycle) {
    const Datagram next = sockets_.pop();
    put(frames::udp(HOST, device_, next.client, next.device, next.data.data(), next.data.size()));
    if (!greeted_) hold_until_ = cycle + PATIENCE;
    greeted_ = true;
}

// Queues a frame's words for the pins.
void Ethernet::put(Bytes frame) {
    to_soc_.pass(frame.data() + frames::PREAMBLE, frame.size() - frames::PREAMBLE);
    const auto last = static_cast<uint8_t>(1 << (frame.size() - 1) % 4);
    frame.resize((frame.size() + 3) / 4 * 4);
    for (size_t i = 0; i < frame.size(); i += 4) {
        uint32_t word;  // the host is little-endian, as Verilator's models require
        std::memcpy(&word, frame.data() + i, 4);
        in_.push_back({word, 0});
    }
    in_.back().last_be = last;
}
