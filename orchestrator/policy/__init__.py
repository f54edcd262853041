"""The gate: which calls may run, which a person must approve, which never run; and why.

`rules` loads the rule files, `decide` gives the verdict, `ledger` explains it. Rule: pure. Rule files are read
once at load; a decision touches neither disk nor clock nor process, so the same call, rules and context always
give the same answer.
"""
