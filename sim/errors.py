"""The error of the simulation room."""


class SimulationError(Exception):
    """A model could not be built, or a simulator did not start or died.

    One sentence with what failed, why, and the way out; the command line prints it as it is.
    """
