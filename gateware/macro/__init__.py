"""The macro: DS-CIM as an array or row-selected, and exact INT8, behind one interface."""
