"""Stands in for torch: the one name that the example uses."""

__version__ = "2.1.0"
float16 = "torch.float16"
