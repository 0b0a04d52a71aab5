// The host at the other end of the SoC's Ethernet line: frames on the pins, UDP on loopback.
//
// In both directions the line waits for the SoC, so nothing is lost. The host asks for the
// device's MAC address by ARP when the first datagram waits, and answers the device's ARP. While
// the device learns the host's address, it cannot send. Frames that it receives meanwhile might
// fill its buffers and block the ARP answer, so until then the host sends nothing else.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "flips.h"
#include "frames.h"
#include "options.h"
#include "udp.h"

// 32 bits on the pins, the first byte on the line lowest. last_be: in a frame's last word the bit
// of its last byte, otherwise 0.
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

    // The SoC's side, once per cycle.
    bool waiting() const { return head_ < in_.size(); }
    const Beat& front() const { return in_[head_]; }
    void pop() { ++head_; }
    void push(Beat beat) { out_.push_back(beat); }

    // The sockets' side, between runs of cycles: returns whether a datagram moved.
    bool exchange(uint64_t cycle);
    // Reads datagrams from the sockets.
    bool take() { return sockets_.take(); }

  private:
    static constexpr frames::Node HOST{{0x02, 0, 0, 0, 0, 0x01}, 0xc0a80164};  // 192.168.1.100
    static constexpr size_t BATCH = 512;  // words queued for the pins, the last frame excluded
    static constexpr uint64_t PATIENCE = 20000;  // cycles for an answer to ARP
    static constexpr uint64_t LEARNING = 200000;  // for the device, with its second request

    void receive(uint64_t cycle);
    bool judge(frames::Bytes frame, uint64_t cycle);
    void ask(uint64_t cycle);
    void forward(uint64_t cycle);
    void put(frames::Bytes frame);

    UdpSockets sockets_;
    Flips to_soc_, to_host_;
    frames::Node device_;
    bool learned_ = false;    // device_.mac is known
    bool greeted_ = false;    // the first datagram is sent
    uint64_t ask_at_ = 0;     // from this cycle on, ask for device_.mac again
    uint64_t hold_until_ = 0;  // until this cycle, nothing is sent while the device learns
    std::vector<Beat> in_, out_;
    size_t head_ = 0;
    std::vector<frames::Bytes> replies_;  // ARP answers to be sent
    frames::Bytes partial_;               // of the frame being received from the SoC
    uint64_t bad_ = 0;
};
