"""The queue: folders are states, a rename is a transition. Only this room renames in `queue/`.

    inbox ──claim──▶ running ──finish──▶ done | failed
      ▲                 │                    │
      └────requeue──────┴───────retry────────┘
    inbox ──▶ scheduled: recurring specs, of which each firing is put into inbox

The rule: what counts is durable before anything is built upon it, and a name is never overwritten. The protocol, of
which docs/protocol.md has the details, and what follows from a death at each point of it:

1.  A writer makes a dot-named file in inbox, syncs it, moves it to its name without overwriting, and syncs the
    folder. Names that begin with a dot or look temporary are never read.
2.  Claim is one rename that never overwrites, from inbox to running. Of two claimers one wins.
3.  Before a program is started, the journal holds a synced record that it was about to be.
4.  At the end the result is first durable in the journal; then it is written into the run's folder and beside the
    place where the spec will stand; then the spec is renamed there; then the folders are synced. The journal forgets
    the run only when its result is durable there too; until then a power cut can take it, and the next start writes it
    again.
5.  At start, a file in running/ whose result is in the journal is finished; one that never started a step goes
    back to inbox; any other goes on where it was cut off, if it may, or is `interrupted`.

Standard library only, and quick to import: `submit` does nothing else.
"""
