"""What TensorBoard shows of a study beside its runs."""
