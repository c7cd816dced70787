"""Mail in: what mail programs submit, lists of recipients, STATUS."""
