#include "udp.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "frames.h"

namespace {

constexpr uint16_t ETHERBONE = 1234;  // answers go to this port, whatever the client's port

sockaddr_in loopback(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    return address;
}

}  // namespace

UdpSockets::UdpSockets(const std::vector<Port>& ports) {
    for (const Port port : ports) open(port);
}

UdpSockets::~UdpSockets() {
    for (const Socket& socket : sockets_) ::close(socket.file);
}

void UdpSockets::open(Port port) {
    const int file = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockets_.push_back({port, file, 0, {}});
    const int room = LIMIT;
    ::setsockopt(file, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    ::setsockopt(file, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    sockaddr_in address = loopback(port.loopback);
    socklen_t size = sizeof address;
    if (::bind(file, reinterpret_cast<sockaddr*>(&address), size)) {
        const std::string why = errno == EADDRINUSE ? "is already in use" : std::strerror(errno);
        throw std::runtime_error("UDP port " + std::to_string(port.loopback) + " " + why +
                                 "; choose another one, or 0 for a free one");
    }
    ::getsockname(file, reinterpret_cast<sockaddr*>(&address), &size);
    sockets_.back().port.loopback = ntohs(address.sin_port);
}

std::string UdpSockets::json() const {
    std::string text;
    for (const Socket& socket : sockets_) {
        text += text.empty() ? "{" : ", ";
        text += "\"" + std::to_string(socket.port.device) + "\": ";
        text += std::to_string(socket.port.loopback);
    }
    return text + "}";
}

void UdpSockets::watch(std::vector<pollfd>& news) const {
    for (const Socket& socket : sockets_) news.push_back({socket.file, POLLIN, 0});
}

bool UdpSockets::take() {
    bool came = false;
    for (Socket& socket : sockets_)
        while (kept_ < LIMIT && take(socket)) came = true;
    return came;
}

bool UdpSockets::take(Socket& socket) {
    uint8_t data[frames::MAX_DATA];
    sockaddr_in from{};
    socklen_t size = sizeof from;
    const ssize_t count = ::recvfrom(socket.file, data, sizeof data, MSG_TRUNC,
                                     reinterpret_cast<sockaddr*>(&from), &size);
    if (count < 0) return false;
    if (static_cast<size_t>(count) > sizeof data) {
        ++oversized_;
        return true;
    }
    socket.last = ntohs(from.sin_port);
    socket.known.set(socket.last);
    in_.push_back({socket.last, socket.port.device, {data, data + count}});
    kept_ += sizeof(Datagram) + static_cast<size_t>(count);
    ++received_;
    return true;
}

Datagram UdpSockets::pop() {
    Datagram first = std::move(in_.front());
    in_.pop_front();
    kept_ -= sizeof(Datagram) + first.data.size();
    return first;
}

bool UdpSockets::send(uint16_t device, uint16_t client, const uint8_t* data, size_t size) {
    for (const Socket& socket : sockets_) {
        if (socket.port.device != device) continue;
        if (device == ETHERBONE && client == ETHERBONE) client = socket.last;
        if (!socket.known[client]) return false;
        const sockaddr_in to = loopback(client);
        const auto* const where = reinterpret_cast<const sockaddr*>(&to);
        sent_ += ::sendto(socket.file, data, size, 0, where, sizeof to) >= 0;
        return true;
    }
    return false;
}

uint64_t UdpSockets::dropped() const {
    uint64_t count = oversized_;
    for (const Socket& socket : sockets_) {
        uint32_t memory[SK_MEMINFO_VARS] = {};
        socklen_t size = sizeof memory;
        if (!::getsockopt(socket.file, SOL_SOCKET, SO_MEMINFO, memory, &size))
            count += memory[SK_MEMINFO_DROPS];
    }
    return count;
}
