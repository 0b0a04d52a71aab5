"""The register map in the format of LiteX's tools, csr.csv."""

from dscim.gateware import registers
from dscim.gateware.layout import memory_sizes
from dscim.gateware.specs import SocSpec

PAGE_BYTES = registers.LINK_BASE // registers.LINK_PAGE
BASES = {
    "core": registers.BANK_BASE,
    "identifier_mem": registers.IDENTIFIER_PAGE * PAGE_BYTES,
    "link": registers.LINK_BASE,
}
"""Byte address of each page, by its LiteX name."""


def csr_csv(spec: SocSpec) -> str:
    """A csr.csv for a device built from `spec`, for `litex_cli --csr-csv` and `RemoteClient`."""
    lines = [f"csr_base,{name},{base:#010x},," for name, base in BASES.items()]
    lines += [
        f"csr_register,{register.name},{registers.address(register.name):#010x},1,"
        f"{'rw' if register.writable else 'ro'}"
        for page in registers.PAGES.values()
        for register in page
    ]
    lines += ["constant,config_csr_data_width,32,,", "constant,config_bus_address_width,32,,"]
    lines += [
        f"memory_region,{name},{registers.MEMORY_BASES[name]:#010x},{size},io"
        for name, size in memory_sizes(spec).items()
    ]
    return "\n".join(lines) + "\n"
