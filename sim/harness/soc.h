// The verilated SoC, run cycle by cycle, with its pins connected to the bridge and Ethernet.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "Vtop.h"
#include "bridge.h"
#include "ethernet.h"
#include "options.h"
#include "pins.h"
#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using TraceFile = VerilatedFstC;
#elif VM_TRACE_VCD
#include "verilated_vcd_c.h"
using TraceFile = VerilatedVcdC;
#endif

class Soc {
  public:
    static constexpr bool HAS_ETHERNET = EthernetPins<Vtop>::PRESENT;

    Soc(Bridge& bridge, Ethernet& ethernet, const Options& chosen);
    ~Soc() { top_.final(); }

    // Runs `count` cycles, fewer if the trace window opens or closes, or at $finish.
    void run(uint64_t count);
    uint64_t cycle() const { return cycle_; }
    bool finished() const { return context_.gotFinish(); }

  private:
    template <bool careful> void step();
    bool tracing() const { return cycle_ >= chosen_.from && cycle_ < chosen_.to; }
    bool go();
    void dump(int half);

    Bridge& bridge_;
    Ethernet& ethernet_;
    SerialPins<Vtop> serial_pins_;
    EthernetPins<Vtop> ethernet_pins_;
    GatedPins<Vtop> gated_pins_;
    const Options& chosen_;
    VerilatedContext context_;
    Vtop top_{&context_, "TOP"};
    uint64_t cycle_ = 0;
    uint64_t random_;
#if VM_TRACE
    std::unique_ptr<TraceFile> trace_;
#endif
};

inline Soc::Soc(Bridge& bridge, Ethernet& ethernet, const Options& chosen)
    : bridge_(bridge), ethernet_(ethernet), chosen_(chosen), random_(chosen.stall) {
    if (chosen.udp.empty() == HAS_ETHERNET)
        throw std::invalid_argument(HAS_ETHERNET ? "this model's Ethernet requires --udp"
                                                 : "this model has no Ethernet for --udp");
#if VM_TRACE
    context_.traceEverOn(true);
#else
    if (chosen.from < chosen.to) throw std::invalid_argument("this model is built without trace");
#endif
}

// A random bit from a xorshift generator: may the stream move in this cycle?
inline bool Soc::go() {
    random_ ^= random_ << 13;
    random_ ^= random_ >> 7;
    random_ ^= random_ << 17;
    return !chosen_.stall || (random_ & 1);
}

// Cycle c covers 10c to 10c + 10 ns of the trace; its rising edge is in the middle.
inline void Soc::dump([[maybe_unused]] int half) {
#if VM_TRACE
    if (!tracing()) return;
    if (!trace_) {
        trace_ = std::make_unique<TraceFile>();
        trace_->set_time_unit("1ns");
        trace_->set_time_resolution("1ns");
        top_.trace(trace_.get(), 99);
        trace_->open(chosen_.file.c_str());
    }
    trace_->dump(10 * cycle_ + 5 * static_cast<uint64_t>(half));
    if (half && cycle_ + 1 == chosen_.to) trace_->close();
#endif
}

template <bool careful> inline void Soc::step() {
    const auto may = [this] { return !careful || go(); };
    serial_pins_.drive(top_, bridge_, may(), may());
    ethernet_pins_.drive(top_, ethernet_, may(), may());
    top_.sys_clk = 0;
    gated_pins_.low(top_);
    top_.eval();
    if (careful) dump(0);
    serial_pins_.sample(top_);
    ethernet_pins_.sample(top_);
    top_.sys_clk = 1;
    gated_pins_.high(top_);
    top_.eval();
    if (careful) dump(1);
    serial_pins_.move(bridge_);
    ethernet_pins_.move(ethernet_);
    ++cycle_;
}

inline void Soc::run(uint64_t count) {
    if (cycle_ < chosen_.from) count = std::min(count, chosen_.from - cycle_);
    if (chosen_.stall || tracing()) {
        for (; count && !finished(); --count) step<true>();
    } else {
        for (; count; --count) step<false>();
    }
}
