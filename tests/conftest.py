"""Shared by all tests: keep it small."""
