// The verilated SoC, one cycle after the other, its UART's bytes tied to the bridge.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "Vtop.h"
#include "bridge.h"
#include "options.h"
#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using TraceFile = VerilatedFstC;
#elif VM_TRACE_VCD
#include "verilated_vcd_c.h"
using TraceFile = VerilatedVcdC;
#endif

// The engine's clock, where the model has one: it ticks only while the engine is awake.
template <class Top> auto tick_engine(Top& top, bool high, int) -> decltype(top.engine_clk, void()) {
    top.engine_clk = high && top.engine_awake;
}
template <class Top> void tick_engine(Top&, bool, long) {}

class Soc {
  public:
    Soc(Bridge& bridge, const Options& chosen);
    ~Soc() { top_.final(); }

    // Runs `count` cycles, fewer where the trace's window opens or closes or $finish is met.
    void run(uint64_t count);
    uint64_t cycle() const { return cycle_; }
    bool finished() const { return context_.gotFinish(); }

  private:
    template <bool careful> void step();
    bool tracing() const { return cycle_ >= chosen_.from && cycle_ < chosen_.to; }
    bool go();
    void dump(int half);

    Bridge& bridge_;
    const Options& chosen_;
    VerilatedContext context_;
    Vtop top_{&context_, "TOP"};
    uint64_t cycle_ = 0;
    uint64_t random_;
#if VM_TRACE
    std::unique_ptr<TraceFile> trace_;
#endif
};

inline Soc::Soc(Bridge& bridge, const Options& chosen)
    : bridge_(bridge), chosen_(chosen), random_(chosen.stall) {
#if VM_TRACE
    context_.traceEverOn(true);
#else
    if (chosen.from < chosen.to) throw std::invalid_argument("this model is built without trace");
#endif
}

// A coin from a xorshift generator: may the stream move in this cycle?
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
    const bool offer = bridge_.waiting() && (!careful || go());
    const bool accept = !careful || go();
    top_.serial_sink_valid = offer;
    top_.serial_sink_data = offer ? bridge_.front() : 0;
    top_.serial_source_ready = accept;
    top_.sys_clk = 0;
    tick_engine(top_, false, 0);
    top_.eval();
    if (careful) dump(0);
    const bool taken = offer && top_.serial_sink_ready;
    const bool given = accept && top_.serial_source_valid;
    const uint8_t byte = top_.serial_source_data;
    top_.sys_clk = 1;
    tick_engine(top_, true, 0);
    top_.eval();
    if (careful) dump(1);
    if (taken) bridge_.pop();
    if (given) bridge_.push(byte);
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
