// A link with a UART and Ethernet behind PHYs of 8 and 32 bits. Commands, one per line:
//   stall SEED PERCENT   from now on, our side of every stream waits so often
//   arp HEX              the answer to the device's ARP requests
//   eth HEX, uart HEX    queues everything on the line for a frame; bytes
//   run MOST QUIET       until nothing has moved for QUIET cycles, at most MOST
//   freeze 0|1           1: the line takes nothing from the device
// `run` prints "eth CYCLE HEX" per frame, "uart HEX", "count NAME N" and "done CYCLE".
#include <cstdint>
#include <cstdio>
#include <deque>
#include <iostream>
#include <random>
#include <sstream>
#include <string>

#include "Vtop.h"
#include "counts.h"

using Bytes = std::string;

static Bytes unhex(const std::string &text) {
    Bytes bytes;
    for (size_t i = 0; i + 1 < text.size(); i += 2)
        bytes.push_back(char(std::stoi(text.substr(i, 2), nullptr, 16)));
    return bytes;
}

static std::string hex(const Bytes &bytes) {
    std::string text;
    char two[3];
    for (unsigned char byte : bytes) {
        std::snprintf(two, sizeof two, "%02x", byte);
        text += two;
    }
    return text;
}

struct Bench {
    Vtop top;
    std::mt19937 random{1};
    unsigned percent = 0;
    bool frozen = false;
    uint64_t cycle = 0, moved = 0;
    std::deque<Bytes> frames;
    size_t place = 0;  // in the first of them
    Bytes to_uart, from_uart, frame, arp;

    bool goes() { return random() % 100 >= percent; }

    // The gated clocks, if there are any.
    void sleep([[maybe_unused]] bool edge) {
#if SLEEPING
        top.gated_clk = edge ? top.gated_awake : 0;
#endif
    }

    void step() {
        // An offer stays until it is taken; readiness may change at any time.
        if (!top.eth_in_valid && !frames.empty() && goes()) {
            const Bytes &text = frames.front();
            uint32_t word = 0;
            size_t count = std::min<size_t>(4, text.size() - place);
            for (size_t i = 0; i < count; i++)
                word |= uint32_t(uint8_t(text[place + i])) << 8 * i;
            bool last = place + count == text.size();
            top.eth_in_valid = 1;
            top.eth_in_data = word;
            top.eth_in_last = last;
            top.eth_in_last_be = last ? 1 << (count - 1) : 0;
        }
        if (!top.uart_in_valid && !to_uart.empty() && goes()) {
            top.uart_in_valid = 1;
            top.uart_in_data = uint8_t(to_uart[0]);
        }
        top.eth_out_ready = !frozen && goes();
        top.uart_out_ready = goes();
        top.sys_clk = 0;
        sleep(false);
        top.eval();
        bool eth_in = top.eth_in_valid && top.eth_in_ready;
        bool uart_in = top.uart_in_valid && top.uart_in_ready;
        if (top.eth_out_valid && top.eth_out_ready) take();
        if (top.uart_out_valid && top.uart_out_ready) {
            from_uart.push_back(char(top.uart_out_data));
            moved = cycle;
        }
        top.sys_clk = 1;
        sleep(true);
        top.eval();
        cycle++;
        if (eth_in) {
            place += 4;
            if (top.eth_in_last) frames.pop_front(), place = 0;
            top.eth_in_valid = 0;
            moved = cycle;
        }
        if (uart_in) {
            to_uart.erase(0, 1);
            top.uart_in_valid = 0;
            moved = cycle;
        }
    }

    void take() {
        for (int i = 0; i < 4; i++) {
            frame.push_back(char(top.eth_out_data >> 8 * i));
            if (top.eth_out_last && top.eth_out_last_be == 1u << i) break;
        }
        moved = cycle;
        if (!top.eth_out_last) return;
        std::cout << "eth " << cycle << " " << hex(frame) << "\n";
        bool asks = frame.size() > 30 && frame.substr(20, 2) == "\x08\x06" && frame[29] == 1;
        if (asks && !arp.empty()) frames.push_back(arp);
        frame.clear();
    }

    void run(uint64_t most, uint64_t quiet) {
        uint64_t end = cycle + most;
        moved = cycle;
        while (cycle < end && cycle < moved + quiet) step();
        std::cout << "uart " << hex(from_uart) << "\n";
        from_uart.clear();
#define COUNT(name) std::cout << "count " #name " " << top.count_##name << "\n";
        COUNTS
        std::cout << "done " << cycle << std::endl;
    }
};

int main() {
    Bench bench;
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string command, text;
        uint64_t a = 0, b = 0;
        words >> command;
        if (command == "run") words >> a >> b, bench.run(a, b);
        if (command == "stall") words >> a >> b, bench.random.seed(unsigned(a)), bench.percent = unsigned(b);
        if (command == "freeze") words >> a, bench.frozen = a;
        if (command == "eth") words >> text, bench.frames.push_back(unhex(text));
        if (command == "uart") words >> text, bench.to_uart += unhex(text);
        if (command == "arp") words >> text, bench.arp = unhex(text);
    }
}
