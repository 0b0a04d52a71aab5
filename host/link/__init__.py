"""Links: read and write the device's bus over a UART, Ethernet or a simulator."""
