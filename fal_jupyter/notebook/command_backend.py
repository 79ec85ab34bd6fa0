"""The backend of ``%fal``: that of the command line, with the settings of this notebook."""

from __future__ import annotations

from fal_jupyter.commands import app_doctor, request_tables
from fal_jupyter.commands.command_backend import GatewayBackend
from fal_jupyter.domain.errors import BadSetting, NotServed
from fal_jupyter.fal import import_hook
from fal_jupyter.notebook import panels
from fal_jupyter.notebook.display import saved_panels
from fal_jupyter.notebook.session import NotebookSession
from fal_jupyter.notebook.style import TEXT, element
from fal_jupyter.protocol.feed import RequestState
from fal_jupyter.secret_store import SecretStore


class NotebookBackend(GatewayBackend):
    """Implements the commands for one notebook session."""

    front = "notebook"

    def __init__(self, session: NotebookSession) -> None:
        super().__init__(session.client)
        self._session = session

    def settings(self) -> dict[str, str]:
        """Return the settings of this notebook and of the gateway."""
        timing = "on" if self._session.timing.enabled else "off"
        return {"timing": timing, "fal": self._session.fal, "panels": self._session.panels.mode, **super().settings()}

    def examined(self, name: str) -> list[app_doctor.Report]:
        """Report what fal's cloud would do differently, for one class of this notebook (name or alias) or for all."""
        from fal_jupyter.notebook.cells import doctor  # start-up

        return doctor.examine(self._session, name, SecretStore(self._settings.state))

    def show_requests(self, records: list[RequestState]) -> bool:
        """Display a table of requests with bars on a common scale."""
        if not self._session.is_kernel:
            return False
        html = element("div", saved_panels.requests_table(records), style=TEXT)
        self._session.show(request_tables.as_text(records), html)
        return True

    def show_panel(self, alias: str, tab: str) -> bool:
        """Display an app's panel. Apps of other notebooks are shown in the dashboard only."""
        if alias not in self._session.handles:
            raise NotServed(f"{alias} belongs to another notebook or program", hint="%fal dashboard shows it, too")
        panels.panel(alias, tab)
        return True

    def show_dashboard(self) -> bool:
        """Display the dashboard."""
        panels.dashboard()
        return True

    def configure(self, setting: str, value: str) -> None:
        """Change a setting of this notebook, until the kernel ends."""
        if setting == "timing":
            self._session.timing.enabled = value == "on"
        elif setting == "fal":
            self._choose_fal(value)
        elif setting == "panels":
            self._session.panels.set_mode(value)  # type: ignore[arg-type]  # validated by the grammar

    def _choose_fal(self, value: str) -> None:
        import_hook.uninstall()
        module = import_hook.install(prefer_real=value == "real")
        if (module.__name__ == import_hook.PACKAGE) != (value == "ours"):
            reason = "the real package is not installed" if value == "real" else "the real package was imported already"
            raise BadSetting(reason, hint="pip install fal" if value == "real" else "restart the kernel", where="fal")
        self._session.fal = value
        self._session.namespace["fal"] = module
