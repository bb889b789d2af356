"""What somebody else's study may hold: files that hang, fill the memory, mislead, or lead elsewhere.

Each is a function of the folder of a study of two arms and two seeds, `made_study.Made`, and may need a folder outside.
"""

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path

from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c

RUN = "upsample-seed1"
JSON = ("result.json", "config.json", "sweep.json", "metrics.jsonl")
HUGE = 3 * 2**30


def place(study: Path, name: str) -> Path:
    return study / name if name == "sweep.json" else study / RUN / name


def instead(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda study: place(study, name).write_bytes(content)


def edited(**changes) -> Callable[[Path], object]:
    """result.json of a run with fields changed."""

    def attack(study: Path) -> None:
        path = study / RUN / "result.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return attack


def in_config(name: str, value) -> Callable[[Path], object]:
    """result.json of a run, with a setting that is changed, by dotted name."""

    def attack(study: Path) -> None:
        for path in study.glob("upsample-*/result.json"):
            tree = json.loads(path.read_text())
            node = tree["config"]
            *above, last = name.split(".")
            for key in above:
                node = node[key]
            node[last] = value
            path.write_text(json.dumps(tree))

    return attack


def piped(name: str) -> Callable[[Path], object]:
    def attack(study: Path) -> None:
        place(study, name).unlink(missing_ok=True)
        os.mkfifo(place(study, name))

    return attack


def linked(name: str, target: str) -> Callable[[Path], object]:
    def attack(study: Path) -> None:
        path = place(study, name)
        if path.is_dir():
            path.rename(path.with_name("before"))
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    return attack


def sparse(name: str, size: int = HUGE) -> Callable[[Path], object]:
    def attack(study: Path) -> None:
        with place(study, name).open("ab") as file:
            file.truncate(size)

    return attack


def cells(*names: str) -> Callable[[Path], object]:
    began = "2026-11-27T00:00:00+00:00"
    return lambda study: (study / "sweep.json").write_text(
        json.dumps({"commands": ["x"], "cells": names, "asked": names, "began": began})
    )


def renamed(name: bytes) -> Callable[[Path], object]:
    return lambda study: (study / RUN).rename(study / os.fsdecode(name))


def records(line: str) -> Callable[[Path], object]:
    return lambda study: (study / RUN / "metrics.jsonl").write_text(line + "\n", encoding="utf-8")


def events(content: bytes) -> Callable[[Path], object]:
    return lambda study: (study / RUN / "events.out.tfevents.0000000001.ganlab").write_bytes(content)


def picture(content: bytes, name: str = "samples/step-00009999.png") -> Callable[[Path], object]:
    return lambda study: (study / RUN / name).write_bytes(content)


def header(length: int) -> bytes:
    packed = struct.pack("<Q", length)
    return packed + struct.pack("<I", masked_crc32c(packed)) + b"abc"


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n(ran) == flush\nshowpage\n"
ESCAPES = "\x1b]0;owned\x07 \u202egnp.exe \x9b31m"

ATTACKS: dict[str, Callable[[Path], object]] = {
    **{f"{name} is a pipe": piped(name) for name in (*JSON, ".lock")},
    **{f"{name} is a link to a device": linked(name, "/dev/zero") for name in (*JSON, ".lock")},
    **{f"{name} is a folder": linked(name, "/usr") for name in JSON},
    **{f"{name} has 3 GB of nothing": sparse(name) for name in JSON},
    **{
        f"{name} {how}": instead(name, content)
        for name in JSON
        for how, content in {
            "is empty": b"",
            "is not UTF-8": b'{"a": "\xff\xfe"}',
            "is nested deep": b"[" * 100_000 + b"]" * 100_000,
            "is nested somewhat": b'{"step":' * 500 + b"1" + b"}" * 500,
            "is a list": b"[1, 2]",
            "is a text": b'"text"',
            "is a number": b"1e999",
            "is null": b"null",
            "has a number of 5,000 digits": b'{"step": ' + b"9" * 5000 + b"}",
            "has half a letter": b'{"status": "\\ud800", "step": 1, "commands": ["\\udc00"], "cells": ["\\ud800"]}',
        }.items()
    },
    "a link to / in a study": lambda study: (study / "root").symlink_to("/"),
    "a link to / in a run": lambda study: (study / RUN / "root").symlink_to("/"),
    "numbers at the edge": edited(metrics={"frechet_distance": 1e308, "coverage": -1e308}),
    "numbers that are tiny": edited(metrics={"frechet_distance": 5e-324, "coverage": 5e-324}),
    "a whole number without end": edited(parameters={"generator": 10**400}),
    "metrics that are texts": edited(metrics={"frechet_distance": "1"}),
    "metrics with odd names": edited(metrics={ESCAPES: 1.0, "\ud800": 1.0, "=cmd|'/c calc'!A0": 1.0}),
    "profiles of one side": edited(profiles={"real": [1.0, 2.0]}),
    "profiles of two lengths": edited(profiles={"real": [1.0, 2.0], "generated": [1.0]}),
    "an error that steers a terminal": edited(status="failed", error=ESCAPES + "\nnext"),
    "settings that are a list": edited(config=[1]),
    "settings without anything": edited(config={}),
    "a generator that is a text": in_config("generator", "x"),
    "a comparison that is a list": in_config("comparison", [1]),
    "a question that steers a terminal": in_config("comparison", {"question": ESCAPES + "\n# Heading"}),
    "a quality that is a list": in_config("comparison", {"quality": ["x"]}),
    "a size of nothing": in_config("dataset.size", 0),
    "a size that is a text": in_config("dataset.size", "x"),
    "a size of nine": in_config("dataset.size", [1] * 9),
    "a start that is a number": in_config("init_from", 7),
    "plugins that are a number": in_config("plugins", 7),
    "an arm with lines in its name": in_config("generator.name", "a\n# b\n\n* c"),
    "an arm with escapes in its name": in_config("generator.name", ESCAPES),
    "an arm that is a formula": in_config("generator.name", "=cmd|'/c calc'!A0"),
    "an arm that is a folder above": in_config("generator.name", ".."),
    "an arm of 5,000 digits": in_config("generator.name", "9" * 5000),
    "an arm that is an object": in_config("generator.name", {"a": {"b": []}}),
    "an arm with a setting nested": in_config("generator.upsampling", {"a": [[[[1e308]]]]}),
    "a cell above": cells("../../outside"),
    "a cell at the root": cells("/"),
    "a cell without end": cells("x" * 5000),
    "a cell with a null": cells("a\0b"),
    "a cell with escapes": cells("a" + ESCAPES),
    "cells that are numbers": lambda study: (study / "sweep.json").write_text(
        '{"commands": [1], "cells": [1, null, {}], "began": 1}'
    ),
    "a folder that is not UTF-8": renamed(b"\xff\xfe-seed1"),
    "a folder with escapes": renamed(b"\x1b]0;owned\x07-seed1"),
    "a folder with lines": renamed(b"a\n# b-seed1"),
    "folders in folders": lambda study: (study / "/".join("d" * 900)).mkdir(parents=True),
    "records that are lists": records("[1, 2, 3]"),
    "records that hold texts": records('{"step": 1, "images": 64, "seconds": 1.0, "metric/frechet_distance": "x"}'),
    "records that hold lists": records('{"step": 1, "images": 64, "seconds": 1.0, "metric/frechet_distance": [1]}'),
    "records at no step": records('{"step": 1e999, "images": 64, "seconds": 1.0, "metric/frechet_distance": 1.0}'),
    "records at a true step": records('{"step": true, "images": 64, "seconds": 1.0, "metric/frechet_distance": 1.0}'),
    "records at the edge": records('{"step": 1, "images": 64, "seconds": 1e308, "metric/frechet_distance": 1e308}'),
    "an event of 2^40 bytes": events(header(2**40)),
    "an event of 2^63 bytes": events(header(2**63)),
    "events that are noise": events(os.urandom(5000)),
    "events that are a pipe": piped("events.out.tfevents.0000000002.ganlab"),
    "events that are a link": linked("events.out.tfevents.0000000002.ganlab", "/etc/passwd"),
    "a sample without bytes": picture(b""),
    "a sample that is a program": picture(EPS),
    "a sample that is a link": linked("samples/step-00009999.png", "/etc/passwd"),
    "a sample that is a pipe": piped("samples/step-00009999.png"),
    "a sample of 4 billion pixels": picture(
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xff\xff\0\0\xff\xff\x08\0\0\0\0" + b"\xb0\x04\x4d\x3f"
    ),
    "real images that are a program": picture(EPS, "samples/real.png"),
    "samples that are a link": linked("samples", "/usr/share"),
}
