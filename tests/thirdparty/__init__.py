"""A connector that another package brings."""
