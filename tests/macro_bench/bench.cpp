// A macro alone: weights and windows in, products out, every stream stalled at random.
// usage: model COMMANDS SEED STALL      (STALL: probability of a stall in a cycle, in percent)
// Commands, one per line, those of each kind in order:
//   W row odd last samples_log2 offset zero_point activation_shift BYTES   column 0 first
//   A shift WRITE SELECT USED last final BYTES                             word 0 first
// Numbers in capitals are hexadecimal; BYTES are a hexadecimal pair each, in the order of lanes.
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

using Bytes = std::vector<uint8_t>;         // least significant first

struct Command {
    std::vector<int> numbers;
    std::vector<Bytes> wide;
};

template <typename T> void put(T& port, const Bytes& bytes) {
    uint64_t value = 0;
    for (size_t k = 0; k < bytes.size() && k < sizeof(T); k++) value |= uint64_t(bytes[k]) << 8*k;
    port = T(value);
}
template <size_t N> void put(VlWide<N>& port, const Bytes& bytes) {
    for (size_t k = 0; k < N; k++) port[k] = 0;
    for (size_t k = 0; k < bytes.size() && k < 4*N; k++) port[k/4] |= uint32_t(bytes[k]) << 8*(k%4);
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

static Bytes bytes_of(const std::string& hex) {
    Bytes bytes;
    for (size_t k = 0; k + 1 < hex.size(); k += 2)
        bytes.push_back(uint8_t(std::stoul(hex.substr(k, 2), nullptr, 16)));
    return bytes;
}

static Bytes number_of(std::string hex) {
    if (hex.size() % 2) hex = "0" + hex;
    Bytes bytes = bytes_of(hex);
    return Bytes(bytes.rbegin(), bytes.rend());
}

struct Commands {
    std::vector<Command> weights, activations;
};

static Commands read_commands(const char* path) {
    Commands commands;
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::vector<std::string> parts;
        std::string part;
        while (words >> part) parts.push_back(part);
        Command command;
        if (parts[0] == "W") {
            for (size_t k = 1; k < 8; k++) command.numbers.push_back(std::stoi(parts[k]));
            command.wide.push_back(bytes_of(parts[8]));
            commands.weights.push_back(command);
        } else {
            for (size_t k : {1, 5, 6}) command.numbers.push_back(std::stoi(parts[k]));
            for (size_t k : {2, 3, 4}) command.wide.push_back(number_of(parts[k]));
            command.wide.push_back(bytes_of(parts[7]));
            commands.activations.push_back(command);
        }
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

static void offer_weights(Vtop& top, const Command& command) {
    top.weights_valid = 1;
    top.weights_row = command.numbers[0];
    top.weights_odd = command.numbers[1];
    top.weights_last = command.numbers[2];
    top.weights_samples_log2 = command.numbers[3];
    top.weights_offset = command.numbers[4];
    top.weights_zero_point = command.numbers[5] & 0xff;
    top.weights_activation_shift = command.numbers[6];
    put(top.weights_data, command.wide[0]);
}

static void offer_activations(Vtop& top, const Command& command) {
    top.activations_valid = 1;
    top.activations_shift = command.numbers[0];
    top.activations_last = command.numbers[1];
    top.activations_final = command.numbers[2];
    put(top.activations_write, command.wide[0]);
    put(top.activations_select, command.wide[1]);
    put(top.activations_used, command.wide[2]);
    put(top.activations_data, command.wide[3]);
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
    size_t next_row = 0, next_step = 0, due = 0;
    uint64_t cycle = 0, computing = 0, violations = 0, idle = 0;
    const std::clock_t begin = std::clock();
    while ((next_row < commands.weights.size() || next_step < commands.activations.size() || due
            || top.busy) && idle < 100000) {
        if (next_row < commands.weights.size() && !top.weights_valid && !chance.stall())
            offer_weights(top, commands.weights[next_row]);
        if (next_step < commands.activations.size() && !top.activations_valid && !chance.stall())
            offer_activations(top, commands.activations[next_step]);
        if (!top.products_ready || top.products_valid) top.products_ready = !chance.stall();
        top.sys_clk = 0;
        top.eval();
        const bool row = top.weights_valid && top.weights_ready;
        const bool step = top.activations_valid && top.activations_ready;
        const bool closed = step && top.activations_last;
        const bool product = top.products_valid && top.products_ready;
        if (product) print_product(top, cycle);
        computing += top.computing;
        violations += top.violation;
        top.sys_clk = 1;
        top.eval();
        if (row) top.weights_valid = 0, next_row++;
        if (step) top.activations_valid = 0, next_step++;
        due += closed, due -= product;
        idle = row || step || product ? 0 : idle + 1;
        cycle++;
    }
    const double seconds = double(std::clock() - begin)/CLOCKS_PER_SEC;
    std::printf("E %llu %llu %llu %.6f\n", (unsigned long long)cycle,
                (unsigned long long)computing, (unsigned long long)violations, seconds);
    return idle >= 100000;              // nothing moved: a deadlock
}
