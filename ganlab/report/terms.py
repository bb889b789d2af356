"""What the words of a report mean, a line each, for who gets the report and nothing else."""

from ganlab.evaluation.registry import METRICS, base_name
from ganlab.report.blocks import Block, Fold, Table
from ganlab.study.compare import Study

FEATURES = {
    "classifier": "features of a small network trained to classify this data set",
    "random": "features of convolutions with random weights, three draws",
    "pca": "64 principal components of the pixels; the quick measures, which have no prefix, use them too",
    "inception": "features of the Inception network",
}
_STATISTICS = {
    "arm": "one of the variants that are compared; its runs have the same settings and differ only in the seed",
    "reference": "the arm that all others are compared with",
    "endpoint": "a metric that was named before the runs as one to judge by",
    "margin": "the largest difference that counts as none",
    "pair": "two runs with the same seed: they see the same images and latents in the same order, and start with the "
    "same "
    "discriminator",
    "effect": "mean difference of the pairs, arm minus reference; where it is in per cent, of the logarithms",
    "p": "how often swapping the arms within pairs at random gives a difference at least as large (sign-flip test: all "
    "ways up to 16 pairs, beyond that 100,000 random ones)",
    "adjusted p": "p corrected for comparing several arms at once (Holm; Benjamini-Hochberg in exploratory endpoints)",
    "d_z": "mean difference divided by the standard deviation of the differences",
    "interquartile mean": "mean of the middle half of the differences",
    "Hodges-Lehmann": "median of the averages of every two differences",
    "P(better)": "chance that a run of the arm is better than a run of the reference, whatever their seeds",
    "correlation": "between the arm and the reference, over the seeds: the higher, the more pairing helps",
    "exploratory": "any endpoint but the primary one, which decides",
    "MACs": "multiply-accumulates per image; as written: as the layers are defined, executed: after layers were fused",
    "real images": "what real training images score in place of generated ones, about what a perfect generator would "
    "score",
}


def explain(study: Study) -> tuple[Block, ...]:
    """The metrics and features that the study has, and the statistics of every report."""
    metrics = [*(endpoint.metric for endpoint in study.endpoints), *study.shown_only]
    names = dict.fromkeys(name for metric in metrics if (name := base_name(metric)) in METRICS)
    parts = {part for metric in metrics for part in metric.split("/")}
    rows = [(name, METRICS[name].words) for name in names]
    rows += [(f"full/{name}/", f"measured at the end, in {text}") for name, text in FEATURES.items() if name in parts]
    table = Table(("term", "meaning"), (*rows, *_STATISTICS.items()), words=True)
    return (Fold(f"What {len(table.rows)} terms mean", (table,)),)
