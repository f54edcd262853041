"""Git worktrees of tasks: made when a run starts, committed, kept or removed when it ends, tidied after a crash.

Rule: what is in a worktree and nowhere else is never removed. All that git does here it does in the sandbox of steps,
because what a repository's own configuration has it run is not ours to trust. docs/worktrees.md tells the rest.
"""
