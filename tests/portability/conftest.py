from tests.portability.desk import desk

__all__ = ["desk"]
