"""The hardware, and its contract with the host: specs and registers (numpy only), then Migen."""
