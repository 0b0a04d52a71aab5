"""The models that every bit is compared with: numpy reference, fast emulator, device's twin."""
