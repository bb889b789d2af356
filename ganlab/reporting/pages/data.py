"""The numbers behind the pages, for programs: `verdict.json` and `scores.csv`."""

import csv
import io
import math
from typing import Any

from ganlab.reporting.judge import LEVEL, Study
from ganlab.reporting.words import answer


def verdict(study: Study) -> dict[str, Any]:
    """What was asked and what was found, fit for JSON."""
    return {
        "question": study.plan.question,
        "answer": answer(study),
        "reference": study.reference.label,
        "level": LEVEL,
        "gaps": list(study.gaps),
        "endpoints": [
            {
                "title": endpoint.title,
                "metric": endpoint.metric,
                "primary": endpoint.primary,
                "margin": endpoint.margin,
                "arms": {
                    judgement.arm: {
                        **{name: finite(value) for name, value in judgement.comparison._asdict().items()},
                        "verdict": judgement.verdict,
                        "p_adjusted": judgement.p_adjusted,
                        "sentence": judgement.sentence,
                    }
                    for judgement in study.judgements[endpoint.metric]
                },
            }
            for endpoint in study.endpoints
        ],
    }


def finite(value: Any) -> Any:
    """None for a number that JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def scores(study: Study) -> list[tuple[Any, ...]]:
    """A head, then a row for each run: arm, seed, status, and every metric that any run has."""
    metrics = [*(endpoint.metric for endpoint in study.endpoints), *study.shown_only]
    rows: list[tuple[Any, ...]] = [("arm", "seed", "status", *metrics)]
    for arm in study.arms:
        for seed, run in arm.runs.items():
            values = run.metrics if run.status == "finished" else {}
            rows.append((arm.label, seed, run.status, *(values.get(name) for name in metrics)))
    return rows


def as_csv(rows: list[tuple[Any, ...]]) -> str:
    """Rows as the text of a file; an empty field where there is no value."""
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()
