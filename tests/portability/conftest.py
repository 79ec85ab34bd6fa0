from tests.portability.app_folder import app_folder

__all__ = ["app_folder"]
