"""fal_jupyter against FastAPI + uvicorn, LitServe and BentoML, and against its own aims (``make bench``).

The aims are in report.py, what is measured and how is in measures.py. Writes ``bench/RESULTS.md``, except when only some
parts are asked for: then it prints, or writes where ``--to`` says.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from clients import Options
from measures import PARTS
from report import Report, render
from servers import HERE


def chosen(text: str) -> list[str]:
    """The parts of ``--only``."""
    parts = text.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        raise argparse.ArgumentTypeError(f"there is no part {', '.join(unknown)}; there are {', '.join(PARTS)}")
    return parts


def stop(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends what was started, as Ctrl-C does."""
    raise KeyboardInterrupt


def measure(report: Report, parts: list[str], options: Options) -> bool:
    """Run the parts; one that fails is said in the report, and the others go on. Gives whether all went well."""
    well = True
    for part in parts:
        began = time.monotonic()
        print(f"{part}: {(PARTS[part].__doc__ or '').strip()}", flush=True)
        try:
            PARTS[part](report, options)
        except (Exception, SystemExit) as error:
            report.miss(f"{part}: {type(error).__name__}: {error}")
            well = False
        print(f"{part}: {time.monotonic() - began:.0f} s", flush=True)
    return well


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one measurement")
    parser.add_argument("--only", type=chosen, default=list(PARTS), metavar="PART,…", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--client", choices=("wrk", "load.py"), default="wrk" if shutil.which("wrk") else "load.py")
    parser.add_argument("--to", type=Path, help="write here; default RESULTS.md when every part is run")
    o = parser.parse_args()
    signal.signal(signal.SIGTERM, stop)
    load_before = os.getloadavg()[0]
    report = Report()
    try:
        well = measure(report, o.only, Options(o.rounds, o.seconds, o.client))
    except KeyboardInterrupt:
        print("\nstopped; nothing is written", file=sys.stderr)
        return 130
    run = shlex.join([".venv/bin/python", "bench/bench.py", *sys.argv[1:]])
    written = render(report, run if sys.argv[1:] else "make bench", load_before, os.getloadavg()[0])
    to = o.to or (HERE / "RESULTS.md" if set(o.only) == set(PARTS) else None)
    print(f"\n{written}")
    if to:
        to.write_text(written)
        print(f"written: {to}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
