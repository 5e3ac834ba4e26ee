"""Tests of the report: its words and files, and its pages in a real browser."""
