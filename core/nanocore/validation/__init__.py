"""Checks that the whole pipeline works on this machine: each computes something real and compares it."""
