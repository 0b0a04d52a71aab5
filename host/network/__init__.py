"""Networks: graph, file format, integer evaluation."""
