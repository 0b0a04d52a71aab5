#include "ethernet.h"

#include <cstring>

using frames::Bytes;
using frames::Parsed;

Ethernet::Ethernet(const Options& chosen)
    : sockets_(chosen.udp), flips_(chosen.flip_seed, chosen.flip_ppm),
      device_{frames::BROADCAST, chosen.device} {}

bool Ethernet::exchange(uint64_t cycle) {
    bool moved = receive();
    moved |= sockets_.take();
    if (waiting()) return moved;
    in_.clear();
    head_ = 0;
    for (Bytes& reply : replies_) put(std::move(reply));
    replies_.clear();
    if (!learned_ && sockets_.waiting()) ask(cycle);
    for (size_t i = 0; learned_ && i < BATCH && sockets_.waiting(); ++i) {
        const Datagram next = sockets_.pop();
        put(frames::udp(HOST, device_, next.client, next.device, next.data.data(),
                        next.data.size()));
        moved = true;
    }
    return moved;
}

// Looks at the words that have come from the SoC; returns whether a datagram was among them.
bool Ethernet::receive() {
    bool moved = false;
    for (const Beat beat : out_) {
        size_t bytes = 4;
        while (beat.last_be && !(beat.last_be >> (bytes - 1))) --bytes;
        for (size_t i = 0; i < bytes; ++i)
            partial_.push_back(static_cast<uint8_t>(beat.data >> (8 * i)));
        if (!beat.last_be) continue;
        moved |= judge(partial_);
        partial_.clear();
    }
    out_.clear();
    return moved;
}

bool Ethernet::judge(const Bytes& came) {
    Bytes frame = came;
    if (frame.size() > frames::PREAMBLE)
        flips_.pass(frame.data() + frames::PREAMBLE, frame.size() - frames::PREAMBLE);
    const Parsed parsed = frames::parse(frame, HOST);
    if (parsed.kind != Parsed::BAD && parsed.from.address == device_.address) {
        switch (parsed.kind) {
            case Parsed::ARP_REQUEST:
                replies_.push_back(frames::arp(frames::REPLY, HOST, parsed.from));
                return false;
            case Parsed::ARP_REPLY:
                device_.mac = parsed.from.mac;
                learned_ = true;
                return false;
            default:
                if (sockets_.send(parsed.from_port, parsed.to_port, parsed.data, parsed.size))
                    return true;
        }
    }
    ++bad_;
    return false;
}

void Ethernet::ask(uint64_t cycle) {
    if (cycle < asked_again_) return;
    asked_again_ = cycle + PATIENCE;
    put(frames::arp(frames::REQUEST, HOST, device_));
}

// Puts a frame's words before the pins.
void Ethernet::put(Bytes frame) {
    flips_.pass(frame.data() + frames::PREAMBLE, frame.size() - frames::PREAMBLE);
    const auto last = static_cast<uint8_t>(1 << (frame.size() - 1) % 4);
    frame.resize((frame.size() + 3) / 4 * 4);
    for (size_t i = 0; i < frame.size(); i += 4) {
        uint32_t word;  // the host is little-endian, as Verilator's models want
        std::memcpy(&word, frame.data() + i, 4);
        in_.push_back({word, 0});
    }
    in_.back().last_be = last;
}
