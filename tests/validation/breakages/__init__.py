"""All breakages: importing a part puts its own into the list."""

from tests.validation.breakages import kernels, network, objectives, optimizers, runs, text
from tests.validation.breakages.breakage import BREAKAGES, Breakage

__all__ = ("BREAKAGES", "Breakage", "kernels", "network", "objectives", "optimizers", "runs", "text")
