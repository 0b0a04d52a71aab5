// Serves the verilated SoC on loopback: its UART on a TCP port, its Ethernet on UDP ports. The
// clock runs at full speed while there is work.
//
// Standard output is JSON, one object per line: first {"port": N}, with Ethernet also
// "udp": {"DEVICE PORT": N, ...}; then, with --attached, the counters for each line on standard
// input. Standard error is for people. Exit status: 0 at the end of --cycles, $finish or a signal;
// 2 for wrong usage.
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <vector>

#include "bridge.h"
#include "ethernet.h"
#include "options.h"
#include "soc.h"

namespace {

using Clock = std::chrono::steady_clock;
volatile std::sig_atomic_t ending = 0;

double seconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

// Cycles per run: as many as take about 50 us, so that checking the sockets costs little and
// answers are fast.
class Pace {
  public:
    uint64_t cycles() const { return cycles_; }
    void took(double time) {
        busy_ += time;
        if (time < 25e-6 && cycles_ < 4096) cycles_ *= 2;
        if (time > 100e-6 && cycles_ > 16) cycles_ /= 2;
    }
    double busy() const { return busy_; }

  private:
    uint64_t cycles_ = 64;
    double busy_ = 0;
};

class Server {
  public:
    explicit Server(const Options& chosen)
        : chosen_(chosen), bridge_(chosen.port), ethernet_(chosen),
          soc_(bridge_, ethernet_, chosen) {}

    int serve() {
        greet();
        const pid_t parent = ::getppid();
        active_ = reported_ = Clock::now();
        while (!ending && soc_.cycle() < chosen_.cycles && !soc_.finished()) {
            const auto start = Clock::now();
            if (seconds(looked_, start) > 1e-3) {
                looked_ = start;
                if (chosen_.attached && (::getppid() != parent || !answer())) break;
                bridge_.welcome();
                ethernet_.take();
                report(start);
            }
            if (!rest(start)) advance(start);
        }
        summary();
        return 0;
    }

  private:
    void greet() const {
        std::printf("{\"port\": %d", bridge_.port());
        if (Soc::HAS_ETHERNET) std::printf(", \"udp\": %s", ethernet_.sockets().json().c_str());
        std::printf("}\n");
        std::fflush(stdout);
    }

    // Runs some cycles, then moves bytes.
    void advance(Clock::time_point start) {
        const uint64_t before = soc_.cycle();
        if (!bridge_.full()) soc_.run(std::min(pace_.cycles(), chosen_.cycles - before));
        const auto end = Clock::now();
        pace_.took(seconds(start, end));
        if (bridge_.exchange(soc_.cycle() - before)) active_ = end;
        if (Soc::HAS_ETHERNET && ethernet_.exchange(soc_.cycle())) active_ = end;
    }

    // After a second without a byte, sleeps nine tenths of the time: an idle simulator leaves the
    // core to other programs, while a SoC that computes for a silent host still finishes. Before
    // the first client, time stands still.
    bool rest(Clock::time_point now) {
        if (bridge_.connected() || ethernet_.met()) met_ = true;
        const bool bounded = chosen_.cycles != UINT64_MAX;
        if (!met_ && !bounded) {
            doze(50);
            return true;
        }
        if (bounded || seconds(active_, now) < 1 || seconds(woken_, now) < 5e-3) return false;
        doze(45);
        woken_ = Clock::now();
        return false;
    }

    void doze(int milliseconds) {
        std::vector<pollfd> news{{chosen_.attached ? STDIN_FILENO : -1, POLLIN, 0}};
        bridge_.watch(news);
        ethernet_.sockets().watch(news);
        ::poll(news.data(), news.size(), milliseconds);
        looked_ = {};
    }

    // Answers each line on standard input; any other character keeps the clock running.
    // False at the end of the input: the parent is gone.
    bool answer() {
        pollfd input{STDIN_FILENO, POLLIN, 0};
        if (::poll(&input, 1, 0) <= 0) return true;
        char text[64];
        const ssize_t count = ::read(STDIN_FILENO, text, sizeof text);
        for (ssize_t i = 0; i < count; ++i) {
            if (text[i] != '\n') {
                active_ = Clock::now();
                continue;
            }
            status();
        }
        return count != 0;
    }

    void status() const {
        const auto part = [](const char* name, uint64_t value) {
            std::printf(", \"%s\": %llu", name, static_cast<unsigned long long>(value));
        };
        std::printf("{\"rate\": %.0f", rate());
        part("cycles", soc_.cycle());
        part("received", bridge_.received());
        part("sent", bridge_.sent());
        part("datagrams_received", ethernet_.sockets().received());
        part("datagrams_sent", ethernet_.sockets().sent());
        part("datagrams_dropped", ethernet_.sockets().dropped());
        part("frames_bad", ethernet_.bad());
        part("bits_flipped", ethernet_.flipped());
        std::printf("}\n");
        std::fflush(stdout);
    }

    double rate() const { return pace_.busy() > 0 ? double(soc_.cycle()) / pace_.busy() : 0; }

    void report(Clock::time_point now) {
        if (chosen_.report <= 0 || seconds(reported_, now) < chosen_.report) return;
        reported_ = now;
        summary();
    }

    void summary() const {
        std::fprintf(stderr, "%llu cycles, %.2f M cycles/s; bytes in %llu, out %llu\n",
                     static_cast<unsigned long long>(soc_.cycle()), rate() / 1e6,
                     static_cast<unsigned long long>(bridge_.received()),
                     static_cast<unsigned long long>(bridge_.sent()));
    }

    const Options& chosen_;
    Bridge bridge_;
    Ethernet ethernet_;
    Soc soc_;
    Pace pace_;
    bool met_ = false;
    Clock::time_point looked_, active_, woken_, reported_;
};

}  // namespace

int main(int count, char** words) {
    try {
        const Options chosen = options(count, words);
        std::signal(SIGINT, [](int) { ending = 1; });
        std::signal(SIGTERM, [](int) { ending = 1; });
        std::signal(SIGPIPE, SIG_IGN);
        return Server(chosen).serve();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
