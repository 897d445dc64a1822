"""Values and rules that everything else is built on. Imports NumPy only."""
