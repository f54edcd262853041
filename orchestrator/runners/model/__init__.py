"""Language models on servers of the user's own: which there are, and one question to one of them.

Rule: only here is a model's server spoken to. A question ends with an Answer or with one ModelProblem that says which
of the known ways it went wrong; slots, timeouts and dialects are nobody else's business.
"""
