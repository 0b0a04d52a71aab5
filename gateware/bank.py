"""The register bank, built from its declaration in `dscim.gateware.registers`."""

from litex.gen import LiteXModule
from litex.soc.interconnect.csr import CSRField, CSRStatus, CSRStorage

from dscim.gateware.registers import Register


class RegisterBank(LiteXModule):
    """One CSR for each register of a page, in declaration order, as attributes by their names.

    Gateware reads `bank.r.fields.f` if the register `r` is writable, and drives it otherwise.
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
