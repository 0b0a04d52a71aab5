"""Training, quantisation and fine-tuning through DS-CIM (needs the extra `train`)."""
