def recompute_statistics(model, batches):
    pass
