"""A bench for a macro alone: jobs, their expected counts, and two ways to simulate them."""
