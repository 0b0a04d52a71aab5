// UDP sockets on loopback, one for each UDP port of the device.
//
// What clients send is taken as soon as it is looked for and kept, up to LIMIT bytes; beyond that
// it stays in the sockets, whose buffers lose what does not fit, as UDP may. To the clients nothing
// is kept: a client that does not read loses, as on any network.
#pragma once

#include <poll.h>

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

struct Datagram {
    uint16_t client, device;  // UDP ports: the client's on loopback, the device's
    std::vector<uint8_t> data;
};

class UdpSockets {
  public:
    struct Port {
        uint16_t device, loopback;  // loopback: 0 takes a free one
    };

    // Binds 127.0.0.1. Throws std::runtime_error with one sentence.
    explicit UdpSockets(const std::vector<Port>& ports);
    ~UdpSockets();
    UdpSockets(const UdpSockets&) = delete;
    UdpSockets& operator=(const UdpSockets&) = delete;

    // {"1234": 40001, ...}: the device's ports and where they are on loopback.
    std::string json() const;
    void watch(std::vector<pollfd>& news) const;

    // Takes what has come; returns whether anything has.
    bool take();
    bool waiting() const { return !in_.empty(); }
    Datagram pop();
    // Sends data that came from the device's port to the client's. False when no such client has
    // asked anything. Etherbone answers its own port, whoever asked: that is the last client.
    bool send(uint16_t device, uint16_t client, const uint8_t* data, size_t size);

    uint64_t received() const { return received_; }
    uint64_t sent() const { return sent_; }
    // Datagrams lost before they reached the device: too long for a frame, or no room for them.
    uint64_t dropped() const;

  private:
    static constexpr size_t LIMIT = 4 * 1024 * 1024;  // bytes from the clients that may wait

    struct Socket {
        Port port;
        int file;
        uint16_t last;            // the client that sent last
        std::bitset<65536> known;  // clients that have sent
    };
    void open(Port port);
    bool take(Socket& socket);

    std::vector<Socket> sockets_;
    std::deque<Datagram> in_;
    size_t kept_ = 0;  // bytes of in_
    uint64_t received_ = 0, sent_ = 0, oversized_ = 0;
};
