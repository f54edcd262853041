"""Language models on servers of the user's own: which there are, and one question to one of them.

Rule: only here is a model's server spoken to. A question ends with an Answer or with one ModelProblem that says which
of the known ways it went wrong; slots, timeouts and dialects are nobody else's business. The servers are spoken to with
the HTTP library that is there anyway: a client library of theirs costs memory and a slow start, takes what it finds in
the environment for settings, and reads errors in fewer ways than these servers have.
"""
