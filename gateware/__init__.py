"""What is synthesised, and its contract: specs and registers (numpy alone), then Migen."""
