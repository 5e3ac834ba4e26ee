"""What a run says: records for programs, a log and a progress bar for people."""
