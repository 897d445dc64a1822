"""Faults made on purpose: what happens, how often it was tried, what was lost.

``make faults`` runs all of it and prints the table of docs/reliability.md. The tests run each
scenario once, in its short form (``tests/faults``). To add a fault, write a function that
takes a `Run` (see `faults.scenario`) and list it in `faults.catalogue`.
"""
