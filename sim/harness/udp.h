// UDP sockets on loopback, one per UDP port of the device.
//
// Datagrams from clients are read at each check and kept, up to LIMIT bytes. More stay in the
// sockets, whose buffers drop what does not fit, as UDP may. Nothing is kept for the clients: one
// that does not read loses datagrams, as on any network.
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

    // {"1234": 40001, ...}: the loopback ports by the device's ports.
    std::string json() const;
    void watch(std::vector<pollfd>& news) const;

    // Reads waiting datagrams; returns whether there were any.
    bool take();
    bool waiting() const { return !in_.empty(); }
    Datagram pop();
    // Sends data from the device's port to the client's. False if no such client has sent anything.
    // Etherbone always answers to its own port: that means the last client.
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
