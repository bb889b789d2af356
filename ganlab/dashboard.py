"""`python -m ganlab.dashboard DIR`: TensorBoard on a run or a study, with links to the views that answer it."""

import contextlib
import ipaddress
import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from ganlab.cli.exit import Parser, one_line, path
from ganlab.errors import ConfigError, in_a_line
from ganlab.runs.result import FORGOTTEN, ResultError


def main() -> None:
    """Read the command line; serve until Ctrl-C, or print one line of error: status 2 for a wrong folder or port."""
    parser = Parser(
        prog="ganlab.dashboard",
        description="Start TensorBoard on the runs in a folder. A study of several arms also gets bands over seeds, "
        "a table of its arms and its verdict, in DIR/comparison. Prints two links: one to the curves of all runs, "
        "coloured by arm, with endpoints and samples pinned; one to the bands. Ctrl-C ends it.",
        epilog="Example: python -m ganlab.dashboard outputs/upsampling_digits",
    )
    parser.add_argument("directory", metavar="DIR", type=path, help="folder of a study, or of a run")
    parser.add_argument("--port", type=int, help="port to listen on; 0: any (default: the first free one from 6006)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s, this machine)")
    parser.add_argument("--no-serve", action="store_true", help="update DIR/comparison and exit")
    choices = parser.parse_args()
    with one_line():
        show(choices.directory, choices.host, choices.port, serve=not choices.no_serve)


def show(directory: Path, host: str, port: int | None, *, serve: bool) -> None:
    """Update the comparison, then serve until Ctrl-C; raises ConfigError for what cannot be shown."""
    from ganlab.report.tensorboard import COMPARISON, bands_address, curves_address, has_bands, write_comparison
    from ganlab.runs.records import find_runs
    from ganlab.runs.result import RESULT, find_files
    from ganlab.runs.status import find_cells

    if not directory.is_dir():
        problem = "is a file" if directory.exists() else "does not exist"
        raise ConfigError(f"{directory} {problem}; give the folder of a study or of a run")
    if serve:
        check_address(host, port)  # a mistake there is reported before anything is written
    directory = directory.resolve()
    runs = find_runs(directory)
    if not runs:
        count = len(find_cells(directory))  # raises an error for a folder without any
        quoted = shlex.quote(str(directory))
        raise ConfigError(
            f"none of the {count} runs in {directory} has recorded anything yet; python -m ganlab.status {quoted}"
        )
    if len(runs) > 1 and directory not in runs:  # `outputs` with one study: use the study
        directory = Path(os.path.commonpath([run.parent for run in runs]))

    def results() -> list[tuple[Path, int]]:
        return [(path, path.stat().st_mtime_ns) for path in find_files(directory, RESULT)]

    if not serve:
        write_comparison(directory)
        print(f"up to date: {directory / COMPARISON}")
        return

    def compare() -> str:
        """Update the comparison; why there is none of these runs, in a line."""
        try:
            write_comparison(directory)
        except (ResultError, OSError) as error:  # a study owned by others can still be viewed
            return ("the comparison is from earlier runs" if has_bands(directory) else "no comparison") + f": {error}"
        return ""

    alone, compared = runs == [directory], results()
    if (said := compare()) and not alone:
        print(said, flush=True)

    if not _is_this_machine(host):
        print(f"--host={host}: everybody who can reach this machine can see these runs, because TensorBoard has no "
              "password; without --host only this machine can", file=sys.stderr, flush=True)  # fmt: skip

    def ready(address: str) -> None:
        print(f"curves:     {curves_address(address, directory)}")
        if has_bands(directory):
            print(f"seed bands: {bands_address(address)}")
        print("Ctrl-C ends it", flush=True)

    def look(address: str) -> None:
        nonlocal compared, said
        before, compared = compared, results()
        if compared == before:
            return
        had_bands, told = has_bands(directory), said  # runs have ended, or were forgotten
        said = compare()
        if said not in ("", told) and not alone:
            print(said, flush=True)
        if has_bands(directory) and not had_bands:
            print(f"seed bands: {bands_address(address)}", flush=True)

    run_tensorboard(directory, host, port, len(runs), ready, look)


def check_address(host: str, port: int | None) -> None:
    """Raise ConfigError if no server can listen there; a port of None is any."""
    if port is not None and not 0 <= port <= 65535:
        raise ConfigError(f"--port={port} is not a port; use 0 to 65535")
    try:
        family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is not the name of a machine"
        raise ConfigError(
            f"--host={in_a_line(host, 60)} is not an address ({why}); leave it out for this machine"
        ) from None
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server: the port of a closed one is free
        try:
            probe.bind((host, port or 0))
        except OSError as error:
            where = f"--host={host}" + (f" --port={port}" if port else "")
            raise ConfigError(
                f"{where} cannot be used ({str(error.strerror).lower()}); leave it out, or use another"
            ) from None


def _is_this_machine(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    addresses = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return all(ipaddress.ip_address(address[4][0].partition("%")[0]).is_loopback for address in addresses)


def guarded(application: Callable, host: str) -> Callable:
    """A WSGI application that answers only requests for this machine's names, or for the address that it listens on.

    A page from elsewhere whose name its owner points at this machine could else read the runs (DNS rebinding). Whoever
    listens on all addresses is reached by any name, so that all are answered.
    """
    if host in ("0.0.0.0", "::"):
        return application
    names = {"localhost", "127.0.0.1", "::1", socket.gethostname().lower(), host.lower()}

    def answer(environment: dict[str, Any], start: Callable) -> Iterable[bytes]:
        try:
            asked = urlsplit(f"//{environment.get('HTTP_HOST', '')}").hostname
        except ValueError:
            asked = None
        if asked in names:
            return application(environment, start)
        said = b"this name is not one of this machine; use localhost, or start the dashboard with --host=0.0.0.0\n"
        start("403 Forbidden", [("Content-Type", "text/plain"), ("Content-Length", str(len(said)))])
        return [said]

    return answer


_SERVER = """
import os, sys
from tensorboard import default, program
from ganlab.dashboard import guarded

def serve(application, flags):
    return program.create_port_scanning_werkzeug_server(guarded(application, flags.host), flags)

page = sys.argv.pop(1)
provider = (lambda: open(page, "rb")) if page else None  # None: its own page
board = program.TensorBoard(default.get_plugins(), provider, server_class=serve)
board.configure(sys.argv)
print(board.launch(), flush=True)
os.read(0, 1)  # returns when the parent process has ended, even if it was killed
os._exit(0)
"""


def run_tensorboard(
    directory: Path,
    host: str,
    port: int | None,
    runs: int,
    ready: Callable[[str], None],
    look: Callable[[str], None] = lambda address: None,
) -> None:
    """Serve until Ctrl-C or SIGTERM; calls `ready` with the address once TensorBoard lists the runs.

    port: 0 is any, None the first free one from 6006. look: called with the address every few seconds from then on.
    Raises RuntimeError with TensorBoard's last line if it ends by itself.
    """
    environment = os.environ | {"TF_ENABLE_ONEDNN_OPTS": "0", "TF_CPP_MIN_LOG_LEVEL": "3"}  # it only displays
    stops = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    with (
        tempfile.TemporaryFile() as log,
        _presentable(directory) as logdir,
        tempfile.TemporaryDirectory() as folder,
    ):
        page = _page(directory, Path(folder) / "page.zip")
        command = [sys.executable, "-P", "-c", _SERVER, page, "--logdir", str(logdir), "--host", host]
        command += [f"--window_title={directory.name}", *(["--port", str(port)] if port is not None else [])]
        command += ["--samples_per_plugin", "images=9999,text=1000"]  # images=0: none
        child = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
        try:
            assert child.stdout
            if address := child.stdout.readline().decode().strip().replace("//0.0.0.0:", "//127.0.0.1:"):
                _wait_for_runs(address, runs)
                ready(address)
            while _outlasts(child, _LOOK):
                with contextlib.suppress(ResultError, OSError):
                    look(address)
        except KeyboardInterrupt:
            return
        finally:
            child.kill()  # it has nothing to save
            child.communicate()
            for number, handler in stops.items():
                signal.signal(number, handler)
        log.seek(0)
        lines = log.read().decode(errors="replace").strip().splitlines()
    raise RuntimeError(f"TensorBoard ended, status {child.returncode}: {lines[-1] if lines else 'without output'}")


def _outlasts(child: subprocess.Popen, seconds: float) -> bool:
    """Wait for the end of a process; whether it still runs after so many seconds."""
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


@contextlib.contextmanager
def _presentable(directory: Path) -> Iterator[Path]:
    """The folder of a run itself; of a study, links to all but its bad event files and forgotten runs.

    TensorBoard opens everything that it finds. A bad file is reported in a line. Runs keep their names. Every few
    seconds links to new files are added, and those to runs that were forgotten meanwhile removed.
    """
    from ganlab.runs.records import METRICS, bad_events

    bad = bad_events(directory)
    for file, why in bad.items():
        print(f"not shown: {in_a_line(file)} {why}", flush=True)
    if not bad and (directory / METRICS).exists():
        yield directory
        return
    stop = threading.Event()
    with tempfile.TemporaryDirectory(prefix="ganlab-") as folder:
        shown = Path(folder) / directory.name  # TensorBoard's pages name it
        shown.mkdir(exist_ok=True)
        _link(directory, shown, [*bad, *_forgotten(directory)])

        def follow() -> None:
            while not stop.wait(_LOOK):
                with contextlib.suppress(OSError):
                    _link(directory, shown, [*bad, *_forgotten(directory)])

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield shown
        finally:
            stop.set()
            thread.join()


def _forgotten(directory: Path) -> list[Path]:
    """The folders of forgotten runs in a study, or in the studies below a folder."""
    return [Path(folder) / FORGOTTEN for folder, below, _ in os.walk(directory) if FORGOTTEN in below]


def _link(directory: Path, folder: Path, hidden: Collection[Path]) -> None:
    """Fill a folder with links to what is in a directory, but for hidden paths; what it has already stays."""
    for entry in directory.iterdir():
        target = folder / entry.name
        if entry in hidden:
            continue
        if any(path.is_relative_to(entry) for path in hidden):
            if target.is_symlink():  # a run in it was forgotten meanwhile
                target.unlink()
            target.mkdir(exist_ok=True)
            _link(entry, target, hidden)
        elif not target.is_symlink():
            target.symlink_to(entry.absolute())


_LOOK = 5.0  # seconds between two searches for new files
_DIRECT = build_opener(ProxyHandler({}))  # a proxy cannot reach this machine's own servers


def _page(directory: Path, target: Path) -> str:
    """The path of TensorBoard's page with the arms' colours, written to a file; empty to use its own."""
    import tensorboard

    from ganlab.report.tensorboard import arm_styles, group_pattern, write_page

    served = Path(tensorboard.__file__).with_name("webfiles.zip")
    styles = arm_styles(directory)
    written = styles and served.exists() and write_page(served, target, styles, group_pattern(directory))
    return str(target) if written else ""


def _wait_for_runs(address: str, runs: int) -> None:
    """Wait until TensorBoard lists the runs, but not long: some may have nothing to show yet."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError, HTTPException, ValueError),
            _DIRECT.open(f"{address}data/runs", timeout=10) as answer,
        ):
            if len(json.load(answer)) >= runs:
                return
        time.sleep(0.1)


if __name__ == "__main__":
    main()
