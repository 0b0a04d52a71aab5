"""The device's half of the reliable link: frames, checked, acknowledged and applied once."""
