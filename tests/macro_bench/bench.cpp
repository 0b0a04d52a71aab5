// A macro alone: commands in, products out, every stream stalled at random.
// usage: model COMMANDS SEED STALL      (STALL: probability of a stall in a cycle, in percent)
// Commands, one per line, in order:
//   C samples_log2 offset zero_point activation_shift   configuration, once the macro is idle
//   W row hex                                           a row of weights, column 0 first
//   A row count last hex                                a beat of activations, row first
// Output: "P cycle activation_sum count..." per product; "E cycles computing violations CPU-seconds".
#include "Vtop.h"
#include "verilated.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

struct Command {
    char kind;
    int numbers[4];
    std::vector<uint8_t> bytes;
};

template <typename T> void put_byte(T& port, size_t index, uint8_t value) {
    port = (port & ~(T(0xff) << 8*index)) | (T(value) << 8*index);
}
template <size_t N> void put_byte(VlWide<N>& port, size_t index, uint8_t value) {
    uint32_t& word = port[index/4];
    word = (word & ~(0xffu << 8*(index%4))) | (uint32_t(value) << 8*(index%4));
}
template <typename T> unsigned get_bit(const T& port, size_t index) { return port >> index & 1; }
template <size_t N> unsigned get_bit(const VlWide<N>& port, size_t index) {
    return port[index/32] >> index%32 & 1;
}

static int64_t count_of(const Vtop& top, size_t column) {
    int64_t value = 0;
    for (size_t k = 0; k < COUNT_WIDTH; k++)
        value |= int64_t(get_bit(top.products_counts, column*COUNT_WIDTH + k)) << k;
    return value >> (COUNT_WIDTH - 1) & 1 ? value - (int64_t(1) << COUNT_WIDTH) : value;
}

static std::vector<Command> read_commands(const char* path) {
    std::vector<Command> commands;
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        std::istringstream words(line);
        Command command{};
        words >> command.kind;
        const int numbers = command.kind == 'C' ? 4 : command.kind == 'W' ? 1 : 3;
        for (int k = 0; k < numbers; k++) words >> command.numbers[k];
        std::string hex;
        words >> hex;
        for (size_t k = 0; k + 1 < hex.size(); k += 2)
            command.bytes.push_back(uint8_t(std::stoul(hex.substr(k, 2), nullptr, 16)));
        commands.push_back(command);
    }
    return commands;
}

struct Chance {
    uint64_t state;
    unsigned percent;
    bool stall() {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        return (state >> 20) % 100 < percent;
    }
};

static void offer(Vtop& top, const Command& command) {
    if (command.kind == 'W') {
        top.weights_valid = 1;
        top.weights_row = command.numbers[0];
        for (size_t k = 0; k < command.bytes.size(); k++)
            put_byte(top.weights_data, k, command.bytes[k]);
    } else {
        top.activations_valid = 1;
        top.activations_row = command.numbers[0];
        top.activations_count = command.numbers[1];
        top.activations_last = command.numbers[2];
        for (size_t k = 0; k < command.bytes.size(); k++)
            put_byte(top.activations_data, k, command.bytes[k]);
    }
}

static void configure(Vtop& top, const Command& command) {
    top.samples_log2 = command.numbers[0];
    top.offset = command.numbers[1];
    top.zero_point = command.numbers[2] & 0xff;
    top.activation_shift = command.numbers[3];
}

static void print_product(const Vtop& top, uint64_t cycle) {
    std::printf("P %llu %u", (unsigned long long)cycle, unsigned(top.products_activation_sum));
    for (size_t column = 0; column < COLUMNS; column++)
        std::printf(" %lld", (long long)count_of(top, column));
    std::printf("\n");
}

int main(int argc, char** argv) {
    if (argc != 4) return std::fprintf(stderr, "usage: model COMMANDS SEED STALL\n"), 2;
    const auto commands = read_commands(argv[1]);
    Chance chance{std::strtoull(argv[2], nullptr, 10)*2654435761u + 1, unsigned(atoi(argv[3]))};
    const auto context = std::make_unique<VerilatedContext>();
    Vtop top{context.get()};
    size_t next = 0, due = 0;
    uint64_t cycle = 0, computing = 0, violations = 0, idle = 0;
    bool offered = false;
    const std::clock_t begin = std::clock();
    while ((next < commands.size() || due || top.busy) && idle < 1000000) {
        const Command* command = next < commands.size() ? &commands[next] : nullptr;
        if (command && command->kind == 'C' && !due && !top.busy) configure(top, *command), next++;
        else if (command && command->kind != 'C' && !offered && !chance.stall())
            offer(top, *command), offered = true;
        if (!top.products_ready || top.products_valid) top.products_ready = !chance.stall();
        top.sys_clk = 0;
        top.eval();
        const bool taken = (top.weights_valid && top.weights_ready)
                           || (top.activations_valid && top.activations_ready);
        const bool closed = taken && top.activations_valid && top.activations_last;
        const bool product = top.products_valid && top.products_ready;
        if (product) print_product(top, cycle);
        computing += top.computing;
        violations += top.violation;
        top.sys_clk = 1;
        top.eval();
        if (taken) top.weights_valid = top.activations_valid = 0, offered = false, next++;
        due += closed, due -= product;
        idle = taken || product ? 0 : idle + 1;
        cycle++;
    }
    const double seconds = double(std::clock() - begin)/CLOCKS_PER_SEC;
    std::printf("E %llu %llu %llu %.6f\n", (unsigned long long)cycle,
                (unsigned long long)computing, (unsigned long long)violations, seconds);
    return idle >= 1000000;             // nothing moved: a deadlock
}
