"""Masks compared with the truth: counts, scores, reports, pictures."""
