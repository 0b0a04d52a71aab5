#include "options.h"

#include <arpa/inet.h>

#include <stdexcept>
#include <utility>

namespace {

uint64_t number(const std::string& option, const std::string& text) {
    size_t end = 0;
    uint64_t value = 0;
    try {
        value = std::stoull(text, &end);
    } catch (const std::logic_error&) {
        end = 0;
    }
    if (text.empty() || text[0] == '-' || end != text.size())
        throw std::invalid_argument(option + " requires a number, not '" + text + "'");
    return value;
}

uint16_t port_number(const std::string& option, const std::string& text) {
    const uint64_t port = number(option, text);
    if (port > 65535) throw std::invalid_argument(option + " is " + text + ", at most 65535");
    return static_cast<uint16_t>(port);
}

std::pair<std::string, std::string> halves(const std::string& option, const std::string& text) {
    const size_t colon = text.find(':');
    if (colon == std::string::npos)
        throw std::invalid_argument(option + " requires two numbers with a colon between them");
    return {text.substr(0, colon), text.substr(colon + 1)};
}

uint32_t address(const std::string& option, const std::string& text) {
    in_addr parsed{};
    if (::inet_pton(AF_INET, text.c_str(), &parsed) != 1)
        throw std::invalid_argument(option + " requires an IP address, not '" + text + "'");
    return ntohl(parsed.s_addr);
}

}  // namespace

Options options(int count, char** words) {
    Options chosen;
    for (int i = 1; i < count; ++i) {
        const std::string option = words[i];
        if (option == "--attached") {
            chosen.attached = true;
            continue;
        }
        if (i + 1 == count) throw std::invalid_argument(option + " requires a value");
        const std::string value = words[++i];
        if (option == "--port") {
            chosen.port = port_number(option, value);
        } else if (option == "--cycles") {
            chosen.cycles = number(option, value);
        } else if (option == "--trace") {
            const auto [from, to] = halves(option, value);
            chosen.from = number(option, from);
            chosen.to = number(option, to);
        } else if (option == "--udp") {
            const auto [device, loopback] = halves(option, value);
            chosen.udp.push_back({port_number(option, device), port_number(option, loopback)});
        } else if (option == "--device") {
            chosen.device = address(option, value);
        } else if (option == "--flip") {
            const auto [seed, ppm] = halves(option, value);
            chosen.flip_seed = number(option, seed);
            chosen.flip_ppm = number(option, ppm);
            if (chosen.flip_ppm > 1'000'000)
                throw std::invalid_argument(option + " flips " + ppm + " of a million bits");
        } else if (option == "--trace-file") {
            chosen.file = value;
        } else if (option == "--stall") {
            chosen.stall = number(option, value);
        } else if (option == "--report") {
            chosen.report = static_cast<double>(number(option, value));
        } else {
            throw std::invalid_argument("unknown option " + option);
        }
    }
    return chosen;
}
