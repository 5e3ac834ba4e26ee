"""What of this machine noseam can use, told for a bug report."""
