"""From a submission to stored messages."""
