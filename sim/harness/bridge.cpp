#include "bridge.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

Bridge::Bridge(int port) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    auto* const where = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_, where, sizeof address) || ::listen(listener_, 8)) {
        const std::string why = errno == EADDRINUSE ? "is already in use" : std::strerror(errno);
        ::close(listener_);
        throw std::runtime_error("port " + std::to_string(port) + " " + why +
                                 "; choose another one, or 0 for a free one");
    }
    socklen_t size = sizeof address;
    ::getsockname(listener_, where, &size);
    port_ = ntohs(address.sin_port);
}

Bridge::~Bridge() {
    if (client_ >= 0) ::close(client_);
    ::close(listener_);
}

bool Bridge::exchange(uint64_t cycles) {
    if (leaving_) {
        quiet_ = waiting() || !out_.empty() ? 0 : quiet_ + cycles;
        out_.clear();
        leaving_ = quiet_ < QUIET;
        return true;
    }
    if (client_ < 0) {
        out_.clear();  // there is no client
        return false;
    }
    const bool sent = flush();
    return take() || sent;
}

bool Bridge::take() {
    if (waiting() || client_ < 0) return false;
    in_.resize(CHUNK);
    const ssize_t count = ::recv(client_, in_.data(), CHUNK, 0);
    head_ = 0;
    in_.resize(count > 0 ? static_cast<size_t>(count) : 0);
    if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) lose();
    received_ += in_.size();
    if (count > 0) acknowledge();
    return count > 0;
}

// At once, not after Linux's 40 ms: until then, a client that writes a command in two parts (as
// LiteX's does) holds back the second, and the SoC's UARTBone drops the command after 100 ms of
// its own time, which may pass sooner. The socket resets the option, so it is set each time.
void Bridge::acknowledge() const {
    const int on = 1;
    ::setsockopt(client_, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

bool Bridge::flush() {
    bool moved = false;
    while (!out_.empty()) {
        const ssize_t count = ::send(client_, out_.data(), out_.size(), MSG_NOSIGNAL);
        if (count > 0) {
            out_.erase(out_.begin(), out_.begin() + count);
            sent_ += static_cast<uint64_t>(count);
            moved = true;
        } else if (errno != EAGAIN && errno != EINTR) {
            lose();
        } else if (!full()) {
            break;
        } else {
            pollfd room{client_, POLLOUT, 0};
            if (::poll(&room, 1, 50) == 0) break;  // the caller looks for signals first
        }
    }
    return moved;
}

void Bridge::lose() {
    ::close(client_);
    client_ = -1;
    leaving_ = true;
    quiet_ = 0;
    out_.clear();
}

// Whether the client has disconnected, noticed by take() or not.
bool Bridge::parting() const {
    pollfd client{client_, POLLRDHUP, 0};
    return leaving_ || (client_ >= 0 && ::poll(&client, 1, 0) > 0);
}

void Bridge::welcome() {
    while (!parting()) {
        const int fresh = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fresh < 0) return;
        if (client_ >= 0) {
            ::close(fresh);
            continue;
        }
        const int on = 1;
        ::setsockopt(fresh, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        client_ = fresh;
    }
}

void Bridge::watch(std::vector<pollfd>& news) const {
    news.push_back({listener_, POLLIN, 0});
    news.push_back({client_, POLLIN, 0});  // a negative descriptor is skipped
}
