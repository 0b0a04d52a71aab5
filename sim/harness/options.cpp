#include "options.h"

#include <stdexcept>

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
        throw std::invalid_argument(option + " wants a number, not '" + text + "'");
    return value;
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
        if (i + 1 == count) throw std::invalid_argument(option + " wants a value");
        const std::string value = words[++i];
        if (option == "--port") {
            const uint64_t port = number(option, value);
            if (port > 65535) throw std::invalid_argument("--port is " + value + ", at most 65535");
            chosen.port = static_cast<int>(port);
        } else if (option == "--cycles") {
            chosen.cycles = number(option, value);
        } else if (option == "--trace") {
            const size_t colon = value.find(':');
            if (colon == std::string::npos) throw std::invalid_argument("--trace wants FROM:TO");
            chosen.from = number(option, value.substr(0, colon));
            chosen.to = number(option, value.substr(colon + 1));
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
