"""DS-CIM from numpy to gateware: the few modules that all rooms use lie here, below them all."""
