"""From a description to one verified file in the workspace: what a local model writes, and what we make of it.

`classify` says whether a model here should try at all; `context`, `prompt`, `answer`, `gates` and `diff` are pure;
`change` is the only code that touches the file; `runner` leads through all of it. Rule: a model's word counts for
nothing until it parsed, kept its constraints and passed its test; whatever happens, the file is the old one or the new.
"""
