// Bytes between one client on a loopback TCP port and the SoC's UART, without loss at any rate.
//
// To the SoC: bytes are read from the socket only when the last ones are used up, so a SoC that
// stalls stalls the client through TCP. From the SoC: when LIMIT bytes wait for a client that does
// not read, flush() waits for it, and the SoC's time stands still; the pins need not stall.
#pragma once

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

class Bridge {
  public:
    // Listens on 127.0.0.1:port, 0 = a free one. Throws std::runtime_error with one sentence.
    explicit Bridge(int port);
    ~Bridge();
    Bridge(const Bridge&) = delete;
    Bridge& operator=(const Bridge&) = delete;

    int port() const { return port_; }
    bool connected() const { return client_ >= 0; }
    bool full() const { return out_.size() >= LIMIT; }
    uint64_t received() const { return received_; }
    uint64_t sent() const { return sent_; }

    // The SoC's side, once per cycle.
    bool waiting() const { return head_ < in_.size(); }
    uint8_t front() const { return in_[head_]; }
    void pop() { ++head_; }
    void push(uint8_t byte) { out_.push_back(byte); }

    // The socket's side, between runs of cycles: returns whether a byte moved.
    bool exchange(uint64_t cycles);
    // Accepts the first new client and closes any other at once. While bytes of a disconnected
    // client are still in the SoC, new ones wait.
    void welcome();
    // Adds the descriptors to poll for data from the client and for new clients.
    void watch(std::vector<pollfd>& news) const;

  private:
    static constexpr size_t CHUNK = 256 * 1024;  // bytes read from the socket at once
    static constexpr size_t LIMIT = 1024 * 1024;  // bytes from the SoC that may wait
    static constexpr uint64_t QUIET = 20000;  // idle cycles after which a lost client is done

    bool take();
    bool flush();
    void acknowledge() const;
    bool parting() const;
    void lose();

    int listener_ = -1;
    int client_ = -1;
    int port_ = 0;
    bool leaving_ = false;  // the client is gone, but its bytes are still in the SoC
    uint64_t quiet_ = 0;
    std::vector<uint8_t> in_, out_;
    size_t head_ = 0;
    uint64_t received_ = 0, sent_ = 0;
};
