"""The one file that was asked for, out of a model's answer: which block it is, or why there is none."""
