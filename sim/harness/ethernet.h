// The host at the other end of the SoC's Ethernet line: frames on the pins, UDP on loopback.
//
// In both directions the line waits for the SoC; nothing is lost on it. The host asks for the
// device's MAC address by ARP when the first datagram waits, and answers the device's ARP. While
// the device learns the host's address it can send nothing, so what it takes may fill it up, and
// the answer would stand behind that: until then the host sends nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flips.h"
#include "frames.h"
#include "options.h"
#include "udp.h"

// 32 bits on the pins, the first byte on the line lowest. last_be: 0, or in a frame's last word
// the bit of its last byte.
struct Beat {
    uint32_t data;
    uint8_t last_be;
};

class Ethernet {
  public:
    explicit Ethernet(const Options& chosen);

    const UdpSockets& sockets() const { return sockets_; }
    bool met() const { return sockets_.received() > 0; }  // a client has sent something
    uint64_t bad() const { return bad_; }
    uint64_t flipped() const { return to_soc_.count() + to_host_.count(); }

    // The SoC's side, once a cycle.
    bool waiting() const { return head_ < in_.size(); }
    const Beat& front() const { return in_[head_]; }
    void pop() { ++head_; }
    void push(Beat beat) { out_.push_back(beat); }

    // The sockets' side, between runs of cycles: returns whether a datagram moved.
    bool exchange(uint64_t cycle);
    // Takes datagrams that have come.
    bool take() { return sockets_.take(); }

  private:
    static constexpr frames::Node HOST{{0x02, 0, 0, 0, 0, 0x01}, 0xc0a80164};  // 192.168.1.100
    static constexpr size_t BATCH = 512;  // words before the pins, the last frame as it is
    static constexpr uint64_t PATIENCE = 20000;  // cycles for an answer to ARP
    static constexpr uint64_t LEARNING = 200000;  // the same for the device, which asks again once

    void receive(uint64_t cycle);
    bool judge(frames::Bytes frame, uint64_t cycle);
    void ask(uint64_t cycle);
    void forward(uint64_t cycle);
    void put(frames::Bytes frame);

    UdpSockets sockets_;
    Flips to_soc_, to_host_;
    frames::Node device_;
    bool learned_ = false;    // device_.mac is known
    bool greeted_ = false;    // the first datagram is on its way
    uint64_t ask_at_ = 0;     // the cycle from which to ask for device_.mac again
    uint64_t hold_until_ = 0;  // the cycle until which the device is left alone to learn
    std::vector<Beat> in_, out_;
    size_t head_ = 0;
    std::vector<frames::Bytes> replies_;  // ARP's, to be sent
    frames::Bytes partial_;               // of the frame that is coming from the SoC
    uint64_t bad_ = 0;
};
