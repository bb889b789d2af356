"""A study in one file: the same bytes for the same runs, the same verdict from it, and nothing else taken out of one."""

import hashlib
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT
from ganlab import compare
from ganlab.report.drawing import Drawing
from ganlab.report.figures import shown_files
from ganlab.runs import grids
from ganlab.runs.result import ResultError
from ganlab.runs.status import record_sweep
from ganlab.study import archive
from ganlab.study.archive import open_archive, write_archive
from ganlab.study.compare import compare_study
from made_study import Made

PLAIN = b'{"status": "finished", "variant": "fir", "seed": 0, "config": {}}'


@pytest.fixture
def made(tmp_path):
    """Runs of three arms, of which one is still to come, one was killed, and one has gone astray."""
    made = Made(tmp_path / "outputs" / "made")
    made.arms(["transpose", "upsample"], 6, real=True)
    made.run("upsample", 6, status="failed")
    (made.directory / "fir-seed0").mkdir()
    (made.directory / "fir-seed0" / "config.json").write_text("{}")
    (made.directory / "fir-seed0" / "metrics.jsonl").write_text('{"step": 5, "images": 320, "sec')
    record_sweep(made.directory, "python -m ganlab.train", ["fir-seed0", "fir-seed1"])
    for folder in made.directory.glob("*-seed0"):
        (folder / "generator.keras").write_bytes(b"a network")
        grids.save_png(folder / "pictures" / "spectrum.png", np.zeros((8, 8, 1), np.uint8))
    return made


@pytest.fixture
def told(tmp_path, monkeypatch, capsys):
    """`told("DIR", ...)`: status and output of ganlab.compare, in a folder of its own, without drawings."""
    monkeypatch.setattr(Drawing, "_drawn", property(lambda drawing: '<svg viewBox="0 0 1 1"><title></title></svg>'))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["ganlab.compare", *map(str, arguments)])
        status = 0
        try:
            compare.main()
        except SystemExit as ended:
            status = ended.code
        return status, *capsys.readouterr()

    return run


# --- to write ---------------------------------------------------------------------------------------------------------


def packed(folder, target):
    study = compare_study(folder)
    write_archive(folder, target, shown_files(study))
    return target


def test_an_archive_holds_what_compare_reads_and_no_network(made, tmp_path):
    with tarfile.open(packed(made.directory, tmp_path / "made.tar.xz")) as tar:
        names = tar.getnames()
        assert {(entry.uid, entry.uname, entry.mtime, entry.mode) for entry in tar} == {(0, "", 0, 0o644)}
    per_run = [f"made/{arm}-seed{seed}" for arm in ("transpose", "upsample") for seed in range(6)]
    assert [name for name in names if name.endswith("result.json")] == [
        f"{run}/result.json" for run in [*per_run, "made/upsample-seed6"]
    ]
    assert [name for name in names if name.endswith(".png")] == [
        "made/transpose-seed0/samples/step-00004000.png",
        "made/transpose-seed0/samples/real.png",
        "made/transpose-seed0/pictures/spectrum.png",
        "made/upsample-seed0/samples/step-00004000.png",
        "made/upsample-seed0/pictures/spectrum.png",
    ]
    others = {name.partition("/")[2] for name in names if not name.endswith(("result.json", ".png"))}
    assert others == {f"{run.partition('/')[2]}/metrics.jsonl" for run in per_run} | {
        "fir-seed0/config.json", "fir-seed0/metrics.jsonl", "sweep.json",
    }  # fmt: skip


GOLDEN = "45da4d10"


def test_the_same_runs_give_the_same_bytes(tmp_path, monkeypatch):
    found = set()
    for place, mask in (("a", 0o022), ("b", 0o077)):
        before = os.umask(mask)
        try:
            for arm, seed in (("transpose", 10), ("upsample", 2), ("transpose", 2)) if place == "a" else (
                ("transpose", 2), ("transpose", 10), ("upsample", 2),
            ):  # fmt: skip
                folder = tmp_path / place / "étude" / f"{arm}-seed{seed}" / ("of a cell " * 12)
                folder.mkdir(parents=True)
                (folder / "config.json").write_text(f'{{"seed": {seed}}}')
                (folder / "result.json").write_bytes(PLAIN)
        finally:
            os.umask(before)
        write_archive(tmp_path / place / "étude", tmp_path / f"{place}.tar.xz")
        found.add((tmp_path / f"{place}.tar.xz").read_bytes())
    (content,) = found
    assert hashlib.sha256(lzma.decompress(content)).hexdigest().startswith(GOLDEN)  # xz itself may get better
    with open_archive(tmp_path / "a.tar.xz") as study:  # names that are long, and not of ASCII
        assert study.name == "étude"
        assert len(list(study.rglob("result.json"))) == 3
        write_archive(study, tmp_path / "again.tar.xz")
    assert not study.parent.exists()
    assert {(tmp_path / "again.tar.xz").read_bytes()} == found
    monkeypatch.chdir(tmp_path / "b" / "étude")
    write_archive(Path(), tmp_path / "again.tar.xz")  # that of the present folder has its name
    assert {(tmp_path / "again.tar.xz").read_bytes()} == found


def test_what_no_archive_can_hold_is_refused_when_it_is_written(made, tmp_path, monkeypatch):
    target = tmp_path / "made.tar.xz"
    with pytest.raises(ResultError, match="holds no runs"):
        write_archive(made.directory / "report", target)
    with pytest.raises(ResultError, match=r"odd\.txt cannot be put into an archive"):
        write_archive(made.directory, target, [made.directory / "upsample-seed0" / "samples" / "odd.txt"] * (
            (made.directory / "upsample-seed0" / "samples" / "odd.txt").write_bytes(b"") + 1))  # fmt: skip
    monkeypatch.setattr(archive, "MOST_BYTES", 10_000)
    with pytest.raises(OSError, match="bytes, more than the"):
        write_archive(made.directory, target)
    monkeypatch.setattr(archive, "MOST_FILES", 5)
    with pytest.raises(ResultError, match="at most 5"):
        write_archive(made.directory, target)
    assert not target.exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "outputs"]


# --- two ways to one verdict ------------------------------------------------------------------------------------------


def test_a_folder_and_its_archive_give_one_report(made, told, tmp_path):
    there = Path("outputs/made/report")
    assert told("outputs/made", "--archive", "kept/made.tar.xz")[::2] == (0, "")
    status, said, errors = told("kept/made.tar.xz")
    assert (status, errors) == (0, "")
    here = Path("kept/made-report")
    assert f"everything is in {here}\n" in said
    for text in (said, *(path.read_text() for path in here.glob("*.*"))):
        assert tempfile.gettempdir() not in text.replace(str(tmp_path), "")
        assert "ganlab-" not in re.sub(r"ganlab-(keras|train)", "", text)
    assert len(json.loads((here / "verdict.json").read_text())["pending"]) == 2
    for name in ("verdict.json", "scores.csv"):
        assert (here / name).read_bytes() == (there / name).read_bytes(), name
    for name in ("report.md", "report.html"):  # those of a folder in outputs/ name that before it
        text = (there / name).read_text()
        text = text.replace("outputs/made/", "made/").replace("the folder outputs is", "the folder made is")
        assert (here / name).read_text() == text, name
    assert {path.name: path.read_bytes() for path in (here / "figures").iterdir()} == {
        path.name: path.read_bytes() for path in (there / "figures").iterdir()
    }
    before = Path("kept/made.tar.xz").read_bytes()
    assert told("kept/made.tar.xz", "--archive", "kept/made.tar.xz")[0] == 0  # again, over both that are there
    assert Path("kept/made.tar.xz").read_bytes() == before


def test_runs_without_a_ratio_are_named_alike(made, told):
    path = made.directory / "upsample-seed1/result.json"
    result = json.loads(path.read_text())
    result["metrics"]["spectral_distance"] = 0.0
    result["config"]["comparison"] = plan = {"spectrum": None}
    path.write_text(json.dumps(result))
    for other in made.directory.glob("*/result.json"):
        tree = json.loads(other.read_text())
        other.write_text(json.dumps(tree | {"config": tree["config"] | {"comparison": plan}}))
    assert told("outputs/made", "--archive", "made.tar.xz")[0] == told("made.tar.xz")[0] == 0
    one, other = (json.loads(Path(at, "verdict.json").read_text()) for at in ("outputs/made/report", "made-report"))
    assert one["unmeasured"] == other["unmeasured"]
    assert one["unmeasured"]["spectral_distance"][0].startswith("upsample-seed1/result.json has metrics.")


def test_a_run_is_left_out_of_an_archive_by_the_same_name(made, told):
    assert told("outputs/made", "--archive", "made.tar.xz", "--leave-out", "upsample-seed*")[0] == 2  # one arm only
    assert told("outputs/made", "--archive", "made.tar.xz", "--leave-out", "upsample-seed2")[0] == 0
    assert told("made.tar.xz", "--leave-out", "upsample-seed2")[0] == 0
    one, other = (Path(at, "verdict.json").read_bytes() for at in ("outputs/made/report", "made-report"))
    assert one == other


def test_an_error_in_an_archive_names_the_archive(made, told, tmp_path):
    (made.directory / "upsample-seed0/samples/step-00004000.png").write_bytes(b"no picture")
    write_archive(made.directory, tmp_path / "made.tar.xz", [
        made.directory / f"{arm}-seed0/samples/step-00004000.png" for arm in ("upsample", "transpose")
    ])  # fmt: skip
    status, _, errors = told("made.tar.xz")
    assert status == 0 and errors.startswith(
        "not in the report: upsample-seed0/samples/step-00004000.png is not a complete "
    )
    (made.directory / "upsample-seed0/result.json").write_text("{")
    write_archive(made.directory, tmp_path / "made.tar.xz")
    shutil.rmtree(tmp_path / "made-report")
    status, said, errors = told("made.tar.xz")
    assert (status, said, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("made.tar.xz/made/upsample-seed0/result.json is damaged (")
    assert not Path("made-report").exists()


def test_nothing_foreign_is_written_over(made, told):
    target = Path("made.tar.xz")
    for name in ("made.tar", "made.zip", "made.tar.xz/x.tar.xz"):
        target.write_text("mine")
        status, said, errors = told("outputs/made", "--archive", name)
        assert (status, said, errors.count("\n")) == (2, "", 1), errors
    status, _, errors = told("outputs/made", "--archive", target)
    assert (status, errors) == (
        2, "--archive=made.tar.xz exists and is no archive of runs; delete it or give another name\n",
    )  # fmt: skip
    assert target.read_text() == "mine"
    target.unlink()
    assert told("outputs/made", "--archive", target)[0] == 0
    report = Path("made-report")
    for name, text in (("notes.txt", "mine"), ("report.md", "mine"), ("verdict.json", "{}"), ("figures", None)):
        report.mkdir()
        (report / name).mkdir() if text is None else (report / name).write_text(text)
        status, _, errors = told(target)
        assert (status, errors.count("\n")) == (2, 1)
        assert errors.startswith("made-report is no report of ganlab.compare"), errors
        assert [path.name for path in report.iterdir()] == [name]
        shutil.rmtree(report)
    report.write_text("mine")
    assert told(target)[0] == 2
    report.unlink()
    report.symlink_to("outputs")
    assert told(target)[0] == 2
    report.unlink()
    report.mkdir()
    for name in (".lock", ".77.verdict.json"):  # of a comparison that was killed
        (report / name).write_text("")
    assert told(target)[0] == 0
    (report / "notes.txt").write_text("mine")
    assert told(target)[0] == 2


# --- what others may send ---------------------------------------------------------------------------------------------


def entry(name, content: bytes = PLAIN, kind=tarfile.REGTYPE, size=None, linked=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, len(content) if size is None else size, linked
    return info, content


def tar_of(*entries, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for info, content in entries:
            out.write(info.tobuf(form, "utf-8", "surrogateescape"))
            out.write(content + bytes(-len(content) % 512))
            tar.offset = out.tell()
    return out.getvalue()


GOOD = entry("s/a/result.json")
HEADERS = {
    "a link": ([GOOD, entry("s/b/result.json", b"", tarfile.SYMTYPE, linked="/etc/passwd")], "no regular file"),
    "a hard link": ([GOOD, entry("s/b/result.json", b"", tarfile.LNKTYPE, linked="s/a/result.json")], "no regular file"),
    "a folder": ([entry("s/a", b"", tarfile.DIRTYPE), GOOD], "s/a: no regular file"),
    "a folder for a file": ([entry("s/a/result.json", b"", tarfile.DIRTYPE)], "no regular file"),
    "a device": ([entry("s/a/result.json", b"", tarfile.CHRTYPE)], "no regular file"),
    "a pipe": ([entry("s/a/result.json", b"", tarfile.FIFOTYPE)], "no regular file"),
    "a sparse file": ([entry("s/a/result.json", b"", tarfile.GNUTYPE_SPARSE)], "no regular file"),
    "above": ([entry("s/../../result.json")], "no file of a run"),
    "above all": ([entry("../s/a/result.json")], "no file of a run"),
    "here": ([entry("s/./a/result.json")], "no file of a run"),
    "absolute": ([entry("/s/a/result.json")], "no file of a run"),
    "two slashes": ([entry("s//result.json")], "no file of a run"),
    "another name": ([entry("s/a/generator.keras")], "no file of a run"),
    "another ending": ([entry("s/a/result.json.sh")], "no file of a run"),
    "another picture": ([entry("s/a/samples/step-1.svg")], "no file of a run"),
    "nothing around it": ([entry("result.json")], "no file of a run"),
    "too deep": ([entry("s/" + "a/" * 9 + "result.json")], "no file of a run"),
    "a line break": ([entry("s/a\nb/result.json")], "cannot be shown"),
    "a name that turns": ([entry("s/a\u202eb/result.json")], "kind|cannot be shown"),
    "a name of no letters": ([entry("s/a\udcff/result.json")], "utf-8"),
    "twice": ([GOOD, GOOD], "it is there twice"),
    "two studies": ([GOOD, entry("t/a/result.json")], "several studies"),
    "a file as a folder": ([entry("s/config.json"), entry("s/config.json/config.json")], "cannot be opened"),
    "nothing": ([], "holds no runs"),
    "a size that is not there": ([entry("s/a/result.json", b"", size=2**40)], "more than 10,000 files or 268,435,456"),
    "a size that is just not there": ([entry("s/a/result.json", b"", size=2**27)], "cut short"),
    "a size below nothing": ([entry("s/a/result.json", b"", size=-512)], "no regular file"),
    "a long header": ([entry("x", bytes(2**16), tarfile.XHDTYPE), GOOD], "no regular file"),
    "a header of headers": ([entry("x", b"16 path=s/a/b/c\n", tarfile.XHDTYPE)] * 2 + [GOOD], "no regular file"),
    "a header of more": ([entry("x", b"12 size=1e9\n", tarfile.XHDTYPE), GOOD], "another kind"),
    "a header for all": ([entry("x", b"12 path=s/a\n", tarfile.XGLTYPE), GOOD], "no regular file"),
    "a long name of GNU's": ([entry("x", b"s/a/result.json\0", tarfile.GNUTYPE_LONGNAME), GOOD], "no regular file"),
}  # fmt: skip


def refusal(path, what):
    """The one line that refuses an archive, which leaves nothing behind."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", folder)
        with pytest.raises(ResultError) as refused, open_archive(path):
            pass
        assert not list(Path(folder).iterdir())
    line = str(refused.value)
    assert line.startswith(f"{path} ") and "\n" not in line and len(line) < len(str(path)) + 400
    assert re.search(what, line), line
    return line


def written(path, content):
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("kind", HEADERS)
def test_only_plain_files_of_runs_are_taken_out(kind, tmp_path):
    entries, what = HEADERS[kind]
    form = tarfile.GNU_FORMAT if kind.startswith("a size") else tarfile.USTAR_FORMAT  # large ones in base 256
    if kind in ("a name that turns", "a name of no letters"):
        form = tarfile.GNU_FORMAT  # its letters as they are
    refusal(written(tmp_path / "x.tar.xz", lzma.compress(tar_of(*entries, form=form), preset=0)), what)
    assert list(tmp_path.iterdir()) == [tmp_path / "x.tar.xz"]


def test_a_plain_one_is_opened(tmp_path):
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        with open_archive(written(tmp_path / "x.tar.xz", lzma.compress(tar_of(GOOD, form=form)))) as study:
            assert (study / "a" / "result.json").read_bytes() == PLAIN
            assert [path.name for path in study.parent.rglob("*")] == ["s", "a", "result.json"]


def with_dictionary(content, code):
    """An .xz file that asks for a dictionary of another size."""
    header = bytearray(content[12 : 12 + 4 * (content[12] + 1)])
    assert header[2:4] == b"\x21\x01"  # LZMA2, whose one byte follows
    header[4] = code
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    return content[:12] + header + content[12 + len(header) :]


DAMAGES = {
    "no xz": (lambda good: b"PK\3\4" + good, "it is no .xz file"),
    "empty": (lambda good: b"", "it is no .xz file"),
    "a gzip": (lambda good: b"\x1f\x8b" + good[2:], "it is no .xz file"),
    "the head alone": (lambda good: good[:12], "cut short"),
    "a half": (lambda good: good[: len(good) // 2], "cut short|orrupt"),
    "cut at the end": (lambda good: good[:-1], "cut short"),
    "a bit": (lambda good: good[:60] + bytes([good[60] ^ 1]) + good[61:], "orrupt|checksum|kind|unsupported"),
    "a bit of the check": (lambda good: good[:-45] + bytes([good[-45] ^ 1]) + good[-44:], "orrupt"),
    "no tar": (lambda good: lzma.compress(b"some text"), "cut short"),
    "no tar, long": (lambda good: lzma.compress(b"some text " * 200), "checksum|bad|invalid"),
    "two in one": (lambda good: good + good, "something follows its end"),
    "something behind": (lambda good: good + b"x", "something follows its end"),
    "something inside behind": (lambda good: lzma.compress(tar_of(GOOD)[:1024] + bytes(1024) + b"x"), "its last file"),
    "many zeros behind": (lambda good: lzma.compress(tar_of(GOOD) + bytes(20_000)), "its last file"),
    "half a header": (lambda good: lzma.compress(tar_of(GOOD)[:1024] + b"x"), "cut short"),
    "a sum": (lambda good: lzma.compress(b"t" + tar_of(GOOD)[1:]), "checksum"),
    "a dictionary of 4 GiB": (lambda good: with_dictionary(good, 40), "emory"),
}  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_one_is_one_line(kind, tmp_path):
    damage, what = DAMAGES[kind]
    refusal(written(tmp_path / "x.tar.xz", damage(lzma.compress(tar_of(GOOD), preset=0))), what)


def test_a_strong_preset_is_opened(tmp_path):
    with open_archive(written(tmp_path / "x.tar.xz", lzma.compress(tar_of(GOOD), preset=9))):
        pass


def test_what_is_no_file_is_refused(tmp_path):
    refusal(tmp_path / "nowhere.tar.xz", "does not exist; give one that")
    os.mkfifo(tmp_path / "pipe.tar.xz")
    refusal(tmp_path / "pipe.tar.xz", "not a regular file")
    written(tmp_path / "good.tar.xz", lzma.compress(tar_of(GOOD)))
    (tmp_path / "link.tar.xz").symlink_to("good.tar.xz")
    refusal(tmp_path / "link.tar.xz", "is a link")
    refusal(tmp_path, "is a folder")


@pytest.mark.slow
def test_many_files_are_refused(tmp_path):
    many = b"".join(tarfile.TarInfo(f"s/{n}/result.json").tobuf(tarfile.USTAR_FORMAT) for n in range(10_001))
    refusal(written(tmp_path / "x.tar.xz", lzma.compress(many + bytes(1024), preset=0)), "more than 10,000 files")


def bomb(size):
    """A file of zeros, to the bound, and one more: 2^28 bytes are unpacked before anything is wrong with it."""
    packer, zeros = lzma.LZMACompressor(preset=0), bytes(2**20)
    yield packer.compress(tar_of(entry("s/a/metrics.jsonl", b"", size=size))[:512])
    for _ in range(size // 2**20):
        yield packer.compress(zeros)
    yield packer.compress(tar_of(GOOD))
    yield packer.flush()


WATCHED = """
import contextlib, pathlib, re, time
from ganlab.runs.result import ResultError
from ganlab.study.archive import open_archive

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])

before = peak(), time.process_time()
try:
    with open_archive(pathlib.Path("x.tar.xz")):
        pass
except ResultError as error:
    print(peak() - before[0], time.process_time() - before[1], error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what it took")
@pytest.mark.parametrize("kind", ["zeros", "a dictionary"])
@pytest.mark.slow
def test_a_bomb_is_refused_in_bounded_memory_and_time(kind, tmp_path):
    content = b"".join(bomb(2**28)) if kind == "zeros" else with_dictionary(lzma.compress(tar_of(GOOD)), 40)
    assert len(content) < 2**17
    written(tmp_path / "x.tar.xz", content)
    line = [sys.executable, "-c", WATCHED]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    kibibytes, seconds, said = done.stdout.split(maxsplit=2)
    assert re.search("more than 10,000 files or 268,435,456 bytes" if kind == "zeros" else "emory", said)
    assert int(kibibytes) < 2**15 and float(seconds) < 10, done.stdout
