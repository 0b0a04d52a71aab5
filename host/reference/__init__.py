"""numpy reference: the contract point by point, the matrix form, whole layers."""
