"""What every bit is compared with: the numpy reference, the fast emulator, the device's twin."""
