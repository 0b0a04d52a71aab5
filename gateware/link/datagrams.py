"""The streams of LiteEth's UDP ports."""

from liteeth.common import eth_udp_user_description

UDP = eth_udp_user_description(32)

PEER = [("ip_address", 32), ("port", 16)]

LAST_WORD = 0b1000
"""`last_be` of a last word that is whole."""
