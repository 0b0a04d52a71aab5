"""The register bank, built from its one declaration in `dscim.gateware.registers`."""

from litex.gen import LiteXModule
from litex.soc.interconnect.csr import CSRField, CSRStatus, CSRStorage

from dscim.gateware.registers import Register


class RegisterBank(LiteXModule):
    """One CSR a register of a page, in the order of the declaration, each an attribute of its name.

    A writable register `r` is read by gateware as `bank.r.fields.f`; another is driven there.
    """

    def __init__(self, page: tuple[Register, ...]):
        for register in page:
            setattr(self, register.name, _csr(register))


def _csr(register: Register):
    fields = [
        CSRField(f.name, size=f.size, description=f.description, pulse=f.pulse)
        for f in register.fields
    ]
    kind = CSRStorage if register.writable else CSRStatus
    return kind(name=register.name, fields=fields, description=register.description)
