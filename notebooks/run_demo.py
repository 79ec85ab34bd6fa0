"""Run quickstart.ipynb in a real kernel and tell what each step does while it does it (``make demo``).

The notebook is executed as a copy in memory: no tracked file changes. ``--write`` stores the executed copy with its
outputs (for the commit); ``--to FILE`` stores it elsewhere.
"""

from __future__ import annotations

import argparse
import os
import re
import select
import shutil
import signal
import socket
import statistics
import struct
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

NOTEBOOK = Path(__file__).with_name("quickstart.ipynb")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
STEP_LIMIT = 300  # seconds that one cell may take before something is clearly wrong
SHOWN_LINES = 14  # lines of a cell's value or error that are worth repeating in a terminal


class Storyteller(NotebookClient):
    """Executes the cells and prints headings and outputs as they arrive from the kernel."""

    def tell(self, text: str) -> None:
        print(textwrap.indent(ANSI.sub("", text).rstrip("\n"), "    "), flush=True)

    def tell_some(self, text: str) -> None:
        lines = ANSI.sub("", text).strip("\n").splitlines()
        if len(lines) > SHOWN_LINES:
            lines = [
                *lines[: SHOWN_LINES // 2],
                f"… {len(lines) - SHOWN_LINES} lines more …",
                *lines[-SHOWN_LINES // 2 :],
            ]
        self.tell("\n".join(lines))

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        """Called for each message of the kernel: print what a reader of the notebook would now see."""
        content = msg["content"]
        match msg["msg_type"]:
            case "stream":
                self.tell(content["text"])
            case "display_data" | "execute_result":
                data = content["data"]
                if "image/png" in data:
                    self.tell(f"(a picture of {len(data['image/png']) * 3 // 4 // 1024} KiB)")
                else:
                    self.tell_some(data.get("text/markdown") or data.get("text/plain", ""))
            case "error":
                self.tell_some("\n".join(content["traceback"]))
        return super().process_message(msg, cell, cell_index)


def heading_of(cells: list[Any], index: int) -> str:
    """The title in the text right above a code cell, or ''."""
    above = cells[index - 1] if index else None
    if above is None or above.cell_type != "markdown":
        return ""
    titles = [line.lstrip("# ") for line in above.source.splitlines() if line.startswith("#")]
    return titles[-1] if titles else ""


def run(notebook: Any, directory: Path, place: Path) -> None:
    """Execute *notebook* in place in a kernel that works in *directory* and has its sockets in *place*.

    Raises:
        CellExecutionError: a cell failed that is not tagged ``raises-exception``.
    """
    steps = sum(cell.cell_type == "code" for cell in notebook.cells)
    began: dict[int, float] = {}
    count = 0

    def before(cell: Any, cell_index: int) -> None:
        nonlocal count
        count += 1
        began[cell_index] = time.perf_counter()
        title = re.sub(r"^\d+\.\s*", "", heading_of(notebook.cells, cell_index)) or "and then"
        print(f"\n[{count}/{steps}] {title}", flush=True)

    def after(cell: Any, cell_index: int, execute_reply: Any) -> None:
        failed = execute_reply["content"]["status"] == "error"
        meant = "raises-exception" in cell.metadata.get("tags", [])
        expected = " (this error was meant to be)" if failed and meant else ""
        print(f"    done in {time.perf_counter() - began[cell_index]:.1f} s{expected}", flush=True)

    client = Storyteller(
        notebook,
        timeout=STEP_LIMIT,
        kernel_name="python3",
        resources={"metadata": {"path": str(directory)}},
        record_timing=False,
        on_cell_execute=before,
        on_cell_executed=after,
    )
    manager = client.create_kernel_manager()
    manager.transport, manager.ip = "ipc", str(place / "kernel")  # TCP could be listened to by others on this machine
    client.execute()


def calls_of(notebook: Any) -> list[dict[str, Any]]:
    """All calls that the cells made, as fal_jupyter left them in the outputs' metadata."""
    return [
        call
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for call in output.get("metadata", {}).get("fal_jupyter", {}).get("calls", [])
    ]


def figures(calls: list[dict[str, Any]]) -> str:
    """One line an endpoint: how many calls, how they ended, how long they took."""
    table = [f"{'endpoint':16}{'calls':>6}{'failed':>8}{'median ms':>11}{'slowest ms':>12}{'in the app, median':>20}"]
    for endpoint in sorted({str(call["endpoint"]) for call in calls}):
        rows = [call for call in calls if str(call["endpoint"]) == endpoint]
        totals = [float(call["total_ms"]) for call in rows]
        inside = statistics.median(float(call["run_ms"]) for call in rows)
        failed = sum(int(call["status"]) >= 400 for call in rows)
        table.append(
            f"{endpoint:16}{len(rows):6}{failed:8}{statistics.median(totals):11.1f}{max(totals):12.1f}{inside:20.1f}"
        )
    return "\n".join(table)


def gateway_pid(state: Path) -> int | None:
    """Who answers on the gateway's socket in *state*, by the kernel's word (SO_PEERCRED)."""
    try:
        folder = os.open(state, os.O_PATH)
    except FileNotFoundError:
        return None
    try:
        with socket.socket(socket.AF_UNIX) as dialled:
            dialled.connect(f"/proc/self/fd/{folder}/gateway.sock")  # short, however long the state's path is
            credentials = dialled.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", credentials)[0])
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    finally:
        os.close(folder)


@contextmanager
def clean_surroundings() -> Iterator[Path]:
    """Give a folder for this run, with a state directory of its own; ends the gateway that the run started."""
    place = Path(tempfile.mkdtemp(prefix="fal-demo-"))
    state = place / "state"
    os.environ["FAL_JUPYTER_STATE"] = str(state)  # what runs in the user's own is left alone
    os.environ["FAL_JUPYTER_OWNER"] = "demo"  # no login name in recorded outputs
    os.environ["IPYTHONDIR"] = str(place / "ipython")  # no start-up files of the user's
    os.environ["JUPYTER_RUNTIME_DIR"] = str(place / "runtime")  # the kernel's sockets, in a short path
    os.environ.setdefault("MPLCONFIGDIR", str(place / "matplotlib"))
    try:
        yield place
    finally:
        pid = gateway_pid(state)
        if pid is not None:
            handle = os.pidfd_open(pid)
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            select.select([handle], [], [], 15)
            os.close(handle)
        shutil.rmtree(place, ignore_errors=True)


def tidy(notebook: Any) -> None:
    """Leave out what differs between machines and says nothing: widget state, the interpreter's patch version."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}


def main() -> int:
    """Run the demo; the exit status is 0 when every cell did what it should."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="store the executed notebook in quickstart.ipynb")
    parser.add_argument("--to", type=Path, metavar="FILE", help="store the executed notebook in FILE")
    options = parser.parse_args()
    if shutil.which("curl") is None:
        print("The notebook's step with curl needs the program curl; install it and run this again.", file=sys.stderr)
        return 1
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    began = time.perf_counter()
    print(f"Running {NOTEBOOK.name} in a kernel of {sys.executable}", flush=True)
    with clean_surroundings() as place:
        try:
            run(notebook, NOTEBOOK.parent, place)
        except CellExecutionError as failed:
            print(f"\nThe notebook stopped: {failed.ename}: {ANSI.sub('', failed.evalue)}", file=sys.stderr)
            return 1
        except (DeadKernelError, TimeoutError) as failed:
            print(f"\nThe notebook stopped: {failed}", file=sys.stderr)
            return 1
    tidy(notebook)
    for target in [NOTEBOOK] * options.write + [options.to] * (options.to is not None):
        nbformat.write(notebook, target)
        print(f"\nwritten: {target}")
    calls = calls_of(notebook)
    print(f"\nAll cells ran in {time.perf_counter() - began:.0f} s. The calls they made:\n\n{figures(calls)}")
    return 0 if calls else 1


if __name__ == "__main__":
    sys.exit(main())
