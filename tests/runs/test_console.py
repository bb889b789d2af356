import io
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

from ganlab.runs import console
from ganlab.runs.console import Log, Progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is told otherwise."""

    class Clock:
        now = 1000.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(console, "time", clock)
    return clock


@pytest.fixture
def log(monkeypatch):
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return io.StringIO()


def terminal(log, **environment):
    return Console(file=log, force_terminal=True, width=100, _environ={"TERM": "xterm-256color"} | environment)


def test_a_log_gets_a_line_at_each_mark(clock, log):
    with Progress(1000, 0, unit_images=8, console=Console(file=log)) as shown:
        for step in range(1, 1001):
            clock.now += 0.01
            shown.update(step, {"loss/discriminator": 0.5})
    lines = log.getvalue().splitlines()
    assert [int(re.search(r"(\d+) %", line)[1]) for line in lines] == [1, 2, 5, *range(10, 101, 10)]
    assert lines[4] == "step 200/1000  20 %  800 images/s  0:00:08 left  loss/discriminator 0.5"


def test_a_slow_run_says_something_every_minute(clock, log):
    with Progress(1_000_000, 0, unit_images=8, console=Console(file=log)) as shown:
        for step in range(1, 31):
            clock.now += 10
            shown.update(step, {})
    assert [line.split()[1] for line in log.getvalue().splitlines()] == [f"{n}/1000000" for n in (6, 12, 18, 24, 30)]


def test_marks_already_passed_before_this_session_are_not_said_again(clock, log):
    with Progress(100, 50, unit_images=8, console=Console(file=log)) as shown:
        shown.update(51, {})
        assert log.getvalue() == ""
        shown.update(60, {})
        assert log.getvalue() == "step 60/100  60 %\n"


def test_rates_count_this_session_only_and_not_the_compilation(clock, log):
    with Progress(1000, 500, unit_images=10, console=Console(file=log)) as shown:
        clock.now += 30  # the first call compiles
        shown.update(510, {})
        clock.now += 1
        shown.update(610, {})
    assert log.getvalue().endswith("step 610/1000  61 %  1,000 images/s  0:00:04 left\n")


def test_lines_are_printed_as_they_are_and_never_broken(log):
    long = "[bold]outputs[/bold]/:smile: " + 100 * "word "
    with Progress(10, 0, unit_images=1, console=Console(file=log, width=40)) as shown:
        shown.say(long)
    assert log.getvalue() == long + "\n"


def test_quiet_prints_nothing(log):
    for where in (Console(file=log), terminal(log)):
        with Progress(10, 0, unit_images=1, console=where, log=Log(None, quiet=True)) as shown:
            shown.say("hello")
            shown.update(10, {"loss/generator": 1.0})
    assert log.getvalue() == ""


def test_a_terminal_gets_a_bar_with_losses_below_and_lines_above(clock, log):
    with Progress(100, 0, unit_images=8, console=terminal(log)) as shown:
        shown.say("a line above")
        for step in (20, 100):
            clock.now += 1
            shown.update(step, {"loss/generator": 0.25, "score/real": 3.0})
    text = log.getvalue()
    assert "\x1b[?25l" in text  # the cursor is hidden while the bar is redrawn,
    assert "\x1b[?25h" in text  # and shown again
    end = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).splitlines()
    assert "a line above" in [line.strip() for line in end]
    assert end[-2].endswith("100/100  100 %  640 images/s  0:00:00 left")
    assert end[-1].strip() == "loss/generator 0.25"


def test_no_color_and_dumb_terminals_are_respected(log):
    colour = re.compile(r"\x1b\[[0-9;]*(3[0-9]|9[0-7])[0-9;]*m")
    for environment, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        log = io.StringIO()
        with Progress(100, 0, unit_images=8, console=terminal(log, **environment)) as shown:
            shown.update(50, {})
        assert bool(colour.search(log.getvalue())) is coloured
    log = io.StringIO()
    with Progress(100, 0, unit_images=8, console=terminal(log, TERM="dumb")) as shown:
        shown.update(50, {})
    assert re.fullmatch(r"step 50/100  50 %  .*\n", log.getvalue())


def test_lines_reach_a_pipe_at_once():
    program = """
import sys
from ganlab.runs.console import Log
from ganlab.runs.console import Progress
with Progress(10, 0, unit_images=1) as shown:
    shown.update(1, {})
    sys.stdin.read()
assert "tensorflow" not in sys.modules
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout.readline().startswith(b"step 1/10  10 %")  # while the run still waits
        run.stdin.close()
        assert run.wait(timeout=30) == 0


def test_where_a_bar_is_drawn_the_log_keeps_whole_lines(clock, log, tmp_path):
    console = terminal(log)
    with Progress(100, 0, unit_images=8, console=console, log=Log(tmp_path / "log.txt")) as shown:
        shown.say("going on")
        for step in range(1, 101):
            clock.now += 0.01
            shown.update(step, {"loss/generator": 0.5})
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert lines[0] == "going on"
    assert [int(re.search(r"(\d+) %", line)[1]) for line in lines[1:]] == [1, 2, 5, *range(10, 101, 10)]
    assert lines[-1] == "step 100/100  100 %  800 images/s  0:00:00 left  loss/generator 0.5"


def test_a_line_for_a_reader_who_has_gone_is_kept_and_the_work_goes_on(tmp_path, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        monkeypatch.setattr("sys.stdout", gone)
        log = Log(tmp_path / "log.txt")
        for line in ("first", "second"):
            log.say(line)
    assert (tmp_path / "log.txt").read_text().split() == ["first", "second"]
