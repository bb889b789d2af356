"""What the words of a report mean, a line each, for who gets the report and nothing else."""

from ganlab.config.comparison import base_name, measure_of
from ganlab.report.blocks import Block, Fold, Table
from ganlab.study.compare import Study

METRICS = {
    "frechet_distance": "distance of two normal distributions fitted to the features of real and generated images",
    "frechet_distance_extrapolated": "the Fréchet distance that infinitely many images would have, by extrapolation",
    "fid": "the Fréchet distance in the features of the Inception network",
    "inception_score": "the classifier score of the Inception network",
    "kernel_distance": "squared distance (MMD) of real and generated features with a cubic kernel; around 0 if their "
    "distributions are equal",
    "kid": "the kernel distance in the features of the Inception network",
    "energy_distance": "how much farther real and generated features are from each other than among themselves",
    "sliced_wasserstein": "distance of the distributions of many one-dimensional projections, averaged",
    "spectral_distance": "mean absolute difference in log10 power over all frequencies; 0.3 is a factor of 2 in power",
    "spectral_distance_high": "the same over waves shorter than four pixels",
    "high_frequency_bias": "log10 of the power of the finest waves, generated divided by real; above 0: too much, "
    "below 0: too little",
    "checkerboard_index": "log10 of the power of a pattern that repeats every 2 (4, 8) pixels, divided by the power at "
    "the "
    "frequencies around it, and by the same ratio of real images; above 0: a checkerboard, below 0: too little there",
    "coherent_checkerboard_index": "the part of that pattern that is the same in all images",
    "precision": "share of generated images that lie where real ones do",
    "recall": "share of real images that lie where generated ones do",
    "density": "in how many neighbourhoods of real images a generated image lies, on average, divided by the number of "
    "neighbours; 1 if the distributions are equal",
    "coverage": "share of real images whose neighbourhood holds a generated one",
    "classifier_score": "how surely a classifier recognises the classes of generated images, and how evenly the "
    "classes occur",
    "modes": "number of classes among the generated images",
    "class_divergence": "Kullback-Leibler divergence of the shares of the classes from the true ones, in nats",
    "largest_class_error": "the largest error of a class's share, relative to that share",
    "total_variation": "half the sum of all errors of the shares of the classes",
    "kolmogorov": "largest difference of a factor's cumulative distribution from the true one",
    "kuiper": "the same for a factor that is an angle or a hue",
    "mutual_information": "how much one factor tells about another, in nats; 0 in the real images",
    "grid_coverage": "number of combinations of factors that occur, divided by the number that perfect samples would "
    "show",
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
    metrics = [endpoint.metric for endpoint in study.endpoints]
    names = dict.fromkeys(base_name(metric) for metric in metrics if measure_of(metric))
    parts = {part for metric in metrics for part in metric.split("/")}
    rows = [(name, METRICS[name]) for name in names]
    rows += [(f"full/{name}/", f"measured at the end, in {text}") for name, text in FEATURES.items() if name in parts]
    table = Table(("term", "meaning"), (*rows, *_STATISTICS.items()), words=True)
    return (Fold(f"What {len(table.rows)} terms mean", (table,)),)
