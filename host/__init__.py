"""Host: reference, links, device, networks and the command line."""
