"""What a text must stand before it is written: it is whole, it parses, it keeps its constraints, it lost nothing.

Rule: pure. A gate says `ok`, or says in a sentence what is wrong; what it can't judge is `not_checked`, never passed.
"""
