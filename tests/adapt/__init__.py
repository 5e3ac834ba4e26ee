"""Tests of `segment.adapt`."""
