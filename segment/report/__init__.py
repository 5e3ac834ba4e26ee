"""The report of a run: what its pages say, where that comes from, and the pages themselves."""
