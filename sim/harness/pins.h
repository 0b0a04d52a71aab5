// The SoC's streams as pins: driven before a rising edge, moved after it.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "bridge.h"
#include "ethernet.h"

// The UART's bytes behind its PHY. Every model has them.
template <class Top> class SerialPins {
  public:
    // Before the edge; may_offer, may_accept: false stalls a stream.
    void drive(Top& top, const Bridge& bridge, bool may_offer, bool may_accept) {
        offer_ = may_offer && bridge.waiting();
        accept_ = may_accept;
        top.serial_sink_valid = offer_;
        top.serial_sink_data = offer_ ? bridge.front() : 0;
        top.serial_source_ready = accept_;
    }
    // When the pins have settled.
    void sample(const Top& top) {
        taken_ = offer_ && top.serial_sink_ready;
        given_ = accept_ && top.serial_source_valid;
        byte_ = top.serial_source_data;
    }
    // After the edge.
    void move(Bridge& bridge) const {
        if (taken_) bridge.pop();
        if (given_) bridge.push(byte_);
    }

  private:
    bool offer_ = false, accept_ = false, taken_ = false, given_ = false;
    uint8_t byte_ = 0;
};

// Ethernet's words behind its PHY; empty in a model without these pins.
template <class Top, class = void> class EthernetPins {
  public:
    static constexpr bool PRESENT = false;
    void drive(Top&, const Ethernet&, bool, bool) {}
    void sample(const Top&) {}
    void move(Ethernet&) const {}
};

template <class Top>
class EthernetPins<Top, std::void_t<decltype(std::declval<Top&>().eth_sink_valid)>> {
  public:
    static constexpr bool PRESENT = true;
    void drive(Top& top, const Ethernet& ethernet, bool may_offer, bool may_accept) {
        offer_ = may_offer && ethernet.waiting();
        accept_ = may_accept;
        const Beat beat = offer_ ? ethernet.front() : Beat{0, 0};
        top.eth_sink_valid = offer_;
        top.eth_sink_data = beat.data;
        top.eth_sink_last = beat.last_be != 0;
        top.eth_sink_last_be = beat.last_be;
        top.eth_source_ready = accept_;
    }
    void sample(const Top& top) {
        taken_ = offer_ && top.eth_sink_ready;
        given_ = accept_ && top.eth_source_valid;
        const auto last_be = static_cast<uint8_t>(top.eth_source_last_be);
        beat_ = {top.eth_source_data, top.eth_source_last ? last_be : uint8_t{0}};
    }
    void move(Ethernet& ethernet) const {
        if (taken_) ethernet.pop();
        if (given_) ethernet.push(beat_);
    }

  private:
    bool offer_ = false, accept_ = false, taken_ = false, given_ = false;
    Beat beat_{0, 0};
};

// Gated clocks, a bit each, which tick only while their domain is awake; empty in other models.
template <class Top, class = void> class GatedPins {
  public:
    void low(Top&) {}
    void high(Top&) {}
};

template <class Top>
class GatedPins<Top, std::void_t<decltype(std::declval<Top&>().gated_clk)>> {
  public:
    void low(Top& top) { top.gated_clk = 0; }
    // At the edge; `awake` has settled before.
    void high(Top& top) { top.gated_clk = top.gated_awake; }
};
