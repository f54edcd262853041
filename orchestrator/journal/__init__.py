"""Durability: the write-ahead journal, and the ledger that leads one run through it."""
