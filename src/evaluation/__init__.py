"""What a model is worth: labels, splits, strategy, metrics, grade, and the evidence that it is not luck."""
