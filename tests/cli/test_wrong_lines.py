"""A corpus of wrong command lines for all ten commands: one line, status 2, nothing written, in two seconds."""

import io
import json
import os
import shlex
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from conftest import ROOT
from made_study import Made

SECONDS = 2.0  # of processor time, from the shell's start of it to its end
STANDS_FOR = {
    "{long}": "a" * 300, "{longer}": "a" * 5000, "{deep}": "[" * 200 + "]" * 200, "{digits}": "9" * 5000,
    "{newline}": "\n", "{escape}": "\x1b", "{raw}": "\udcff",
}  # fmt: skip
EXPERIMENTS = {
    "callback": "hydra:\n  callbacks: {x: {_target_: urllib.request.urlretrieve, url: 'file:///etc/hostname', filename: lit}}\n",
    "secret": "study: ${oc.env:HOME}\n",
    "anchors": "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)),
    "itself": "defaults: [itself]\n",
    "nested": f"study: {STANDS_FOR['{deep}']}\n",
    "broken": "a: [1,\n",
    "binary": "a: \0\n",
    "list": "- 1\n",
    "outside": "hydra: {run: {dir: ../lit}}\n",
    "tag": "study: !!python/object/apply:os.system ['touch lit']\n",
}  # fmt: skip


def read_lines():
    """The command lines of the file: each the name of a command and its arguments."""
    for text in (ROOT / "tests" / "cli" / "wrong_lines.txt").read_text().splitlines():
        words = shlex.split(text, comments=True)
        for mark, meaning in STANDS_FOR.items():
            words = [word.replace(mark, meaning) for word in words]
        if words:
            yield words


LINES = list(read_lines())


@pytest.fixture
def here(tmp_path, settings):
    """A folder with the files that the corpus speaks of, and nothing that anybody may change."""
    tmp_path = tmp_path / "here"
    tmp_path.mkdir()
    for name in ("empty", "pictures"):
        (tmp_path / name).mkdir()
    for name in ("file.txt", "text.py", "text.npz", "text.npy", "text.zip", "text.tar.xz"):
        (tmp_path / name).write_text("some text, and nothing else\n")
    for name, lines in {"run": [], "labelled": ["conditional=true"]}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(settings(*lines).model_dump(mode="json")))
    for name, text in {"broken": "{", "list": "[]"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(text)
    pixels = np.random.default_rng(0).integers(0, 255, (200, 8, 8), np.uint8)
    np.savez(tmp_path / "unlabelled.npz", images=pixels)
    np.savez(tmp_path / "few.npz", images=pixels[:1])
    np.savez(tmp_path / "flat.npz", images=pixels[0])
    with zipfile.ZipFile(tmp_path / "objects.npz", "w") as archive:
        content = io.BytesIO()
        np.save(content, np.array([{}], object), allow_pickle=True)
        archive.writestr("images.npy", content.getvalue())
    for name in ("foreign.png", "foreign.gif", "pictures/a.png"):
        Image.fromarray(pixels[0]).save(tmp_path / name)
    for name, text in EXPERIMENTS.items():
        path = tmp_path / "mine" / "experiment" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# @package _global_\n{text}")
    Made(tmp_path / "study").arms(["transpose", "upsample"], 6)
    return tmp_path


RUNNER = """
import gc, importlib, json, os, resource, signal, sys, tempfile
sys.argv[0] = "ganlab"
commands = {name: importlib.import_module(f"ganlab.{name}") for name in
            "train inspect doctor sample export evaluate compare status dashboard tune".split()}
import ganlab.cli.hydra, ganlab.study.compare, numpy  # what nearly every line takes, once
ganlab.cli.hydra.plan([], multirun=False)
gc.freeze()
loaded = resource.getrusage(resource.RUSAGE_SELF)
sys.modules["tensorflow"] = sys.modules["keras"] = None  # an import of it fails
for number, line in enumerate(json.load(sys.stdin)):
    with tempfile.TemporaryFile() as said:
        child = os.fork()
        if not child:
            os.dup2(said.fileno(), 2)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            sys.argv[1:] = line[1:]
            resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
            signal.alarm(20)
            try:
                commands[line[0]].main()
                status = 0
            except SystemExit as ended:
                status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
            except BaseException:
                import traceback
                traceback.print_exc()
                status = 99
            sys.stderr.flush()
            os._exit(status)
        _, status, used = os.wait4(child, 0)
        said.seek(0)
        seconds = used.ru_utime + used.ru_stime
        print(json.dumps([os.waitstatus_to_exitcode(status), said.read().decode(errors="replace"), seconds]), flush=True)
print(json.dumps(loaded.ru_utime + loaded.ru_stime))
"""


def seen(folder):
    """Names, sizes and times of all that is in a folder."""
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in sorted(folder.rglob("*"))}


def run(lines, folder):
    """How each of the lines ended, in a process of its own that has imported what nearly all take, but no TensorFlow."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "HOME": str(folder / "home"),
        "GANLAB_CACHE": str(folder.parent / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-c", RUNNER],
        cwd=folder,
        env=environment,
        input=json.dumps(lines),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *found, loading = map(json.loads, done.stdout.splitlines())
    return found, loading


def check(lines, folder):
    before = seen(folder)
    found, loading = run(lines, folder)
    wrong = []
    for line, (status, said, seconds) in zip(lines, found, strict=True):
        if status != 2 or said.count("\n") != 1 or len(said) > 1500 or loading + seconds > SECONDS:
            wrong.append((shlex.join(word[:80] for word in line), status, f"{seconds:.1f} s", said[-400:]))
    assert not wrong, "\n\n".join(map(str, wrong)) + f"\n{len(wrong)} of {len(lines)}"
    after = seen(folder)
    assert after == before, sorted(set(after.items()) ^ set(before.items()))


def test_the_corpus_has_every_command_and_is_large():
    assert len(LINES) == len({tuple(line) for line in LINES}) >= 300
    assert {line[0] for line in LINES} == {
        "train", "inspect", "doctor", "sample", "export", "evaluate", "compare", "status", "dashboard",
        "tune"}  # fmt: skip


def test_some_wrong_lines_are_one_line_and_write_nothing(here):
    check(LINES[::35], here)


SAID = {
    ("train", "resume=nowhere"): "resume=nowhere is not a directory",
    ("train", "-sc"): "Expecting one subcommand",
    ("train", "-cd", "nowhere", "seed=0"): "-cd nowhere is not a directory",
    ("sample", "nowhere", "--count", "many"): "argument --count: invalid int value: 'many'",
    ("sample", "nowhere"): "nowhere is not a directory",
    ("export", "nowhere", "--fromat", "onnx"): "unrecognized arguments: --fromat onnx",
    ("export", "nowhere"): "nowhere is not a directory",
    ("inspect", "run=nowhere"): "run=nowhere is not a directory",
    ("evaluate", "nowhere"): "nowhere is not a directory",
    ("evaluate",): "the following arguments are required: RUN; see",
    ("evaluate", "nowhere", "--step", "best", "metrics.final.images=9"): "nowhere is not a directory",
    ("evaluate", "nowhere", "seed=3"): "nowhere is not a directory",
    ("compare", "nowhere"): "nowhere does not exist",
    ("compare",): "required: DIR",
    ("tune", "nowhere"): "nowhere does not exist",
    ("tune",): "required: DIR",
    ("status", "nowhere"): "nowhere does not exist",
    ("status",): "required: DIR",
}


def test_what_is_wrong_is_named(here):
    found, _ = run(list(SAID), here)
    for (line, said), (status, line_said, _) in zip(SAID.items(), found, strict=True):
        assert (status, line_said.count("\n")) == (2, 1), (line, line_said)
        assert said in line_said
        assert line_said.startswith(said) or "argument" in line_said


@pytest.mark.slow
def test_all_wrong_lines_are_one_line_and_write_nothing(here):
    check(LINES, here)


@pytest.mark.slow
@pytest.mark.parametrize("line", LINES[3::40], ids=lambda line: " ".join(line)[:60])
def test_a_wrong_line_takes_two_seconds_from_the_shell(here, line):
    before, program = seen(here), "import json, os, sys; pid = os.spawnv(os.P_NOWAIT, sys.executable, json.loads(sys.argv[1])); used = os.wait4(pid, 0)[2]; print(used.ru_utime + used.ru_stime)"  # fmt: skip
    whole = [sys.executable, "-m", f"ganlab.{line[0]}", *line[1:]]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "HOME": str(here / "home"),
        "GANLAB_CACHE": str(here.parent / "cache"),
    }
    done = subprocess.run([sys.executable, "-c", program, json.dumps(whole)], cwd=here, env=environment, capture_output=True, text=True)  # fmt: skip
    assert done.stderr.count("\n") == 1, done.stderr
    assert float(done.stdout.splitlines()[-1]) < SECONDS
    assert seen(here) == before
