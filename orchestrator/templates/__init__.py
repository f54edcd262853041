"""Templates: `${{ … }}` in the texts of a spec, worked out by a small, closed language.

Rule: values in, a value out. An expression reaches nothing but the plain values that it is given: no attribute of a
Python object, no call but the three of `if`, no statement, and neither much time nor much memory. What a value may be
put *into* is not decided here (`shell/placed.py` does that). Jinja2 is imported with the first expression, not before.
"""
