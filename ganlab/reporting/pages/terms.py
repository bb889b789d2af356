"""What the words of a report mean, a line each, for who gets the report and nothing else."""

from ganlab.config.comparison import base_name, measure_of
from ganlab.reporting.judge import Study
from ganlab.reporting.pages.blocks import Block, Fold, Table

METRICS = {
    "frechet_distance": "distance of two normal distributions fitted to the features of real and generated images",
    "frechet_distance_extrapolated": "the Fréchet distance that infinitely many images would have, by extrapolation",
    "fid": "the Fréchet distance in the features of the Inception network",
    "inception_score": "the classifier score of the Inception network",
    "kernel_distance": "squared distance (MMD) of the features by a cubic kernel; around 0 for equal distributions",
    "kid": "the kernel distance in the features of the Inception network",
    "energy_distance": "how much farther real and generated features are from each other than from their own kind",
    "sliced_wasserstein": "distance of the distributions of many one-dimensional projections, averaged",
    "spectral_distance": "mean difference in log10 power by frequency, without sign; 0.3: a factor of 2 in power",
    "spectral_distance_high": "the same over waves shorter than four pixels",
    "high_frequency_bias": "log10 of power at the finest waves, generated over real; above 0: too much",
    "checkerboard_index": "log10 of power at the frequencies of a pattern that repeats every so many pixels, against "
    "their neighbours' and over that of real images; above 0: a checkerboard, below: a gap",
    "coherent_checkerboard_index": "the part of that pattern that is the same in all images",
    "precision": "share of generated images that lie where real ones do",
    "recall": "share of real images that lie where generated ones do",
    "density": "how many real neighbourhoods hold a generated image, on average; 1 for equal distributions",
    "coverage": "share of real images whose neighbourhood holds a generated one",
    "classifier_score": "how surely a classifier tells the classes of generated images, and how evenly they come",
    "modes": "classes among the generated images",
    "class_divergence": "Kullback-Leibler divergence of the shares of the classes from the true ones, in nats",
    "largest_class_error": "the largest error of a class's share, relative to that share",
    "total_variation": "half the sum of all errors of the shares of the classes",
    "kolmogorov": "largest difference of a factor's cumulative distribution from the true one",
    "kuiper": "the same for a factor that is an angle or a hue",
    "mutual_information": "how much one factor tells of another, in nats; in truth nothing",
    "grid_coverage": "combinations of factors that occur, by the number that perfect samples would show",
    "grid_divergence": "Kullback-Leibler divergence of their shares from the true ones, in nats",
    "residual_median": "share of an image's power that no image of the data set's kind explains, median",
    "residual_mean": "the same, mean",
}  # fmt: skip
FEATURES = {
    "classifier": "features of a small network trained to classify this data set",
    "random": "features of convolutions with random weights, three draws",
    "pca": "64 principal components of the pixels; the quick measures, which have no prefix, use them too",
    "inception": "features of the Inception network",
}
_STATISTICS = {
    "pair": "two runs of equal seed: the same images and latents in the same order, the same first discriminator",
    "effect": "mean difference of the pairs; of logarithms where it is in per cent",
    "p": "share of all ways to swap the arms within pairs that differ at least as much (sign-flip test: exact up to "
    "16 pairs, above that of 100,000 random ways)",
    "adjusted p": "p for having asked about several arms at once (Holm; Benjamini-Hochberg where exploratory)",
    "d_z": "mean difference over its standard deviation between pairs",
    "interquartile mean": "mean of the middle half of the differences",
    "Hodges-Lehmann": "median of the means of all two differences",
    "P(better)": "chance that a run of the arm beats a run of the reference, over all pairs of runs, of whatever seed",
    "correlation": "between the arms, over seeds: how much pairing gained",
    "exploratory": "not the primary endpoint, the one that decides",
    "MACs": "multiply-accumulates; as written: by the layers' definitions, executed: after layers were fused",
    "real images": "real training images in the place of generated ones, about what a perfect generator would score",
}


def explain(study: Study) -> tuple[Block, ...]:
    """The metrics and features that the study has, and the statistics of every report."""
    metrics = [endpoint.metric for endpoint in study.endpoints]
    names = dict.fromkeys(base_name(metric) for metric in metrics if measure_of(metric))
    parts = {part for metric in metrics for part in metric.split("/")}
    rows = [(name, METRICS[name]) for name in names]
    rows += [(f"full/{name}/", f"measured at the end, in {text}") for name, text in FEATURES.items() if name in parts]
    table = Table(("term", "meaning"), (*rows, *_STATISTICS.items()), words=True)
    return (Fold(f"What {len(table.rows)} terms mean", (table,)),)
