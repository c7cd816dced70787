"""SMPP in: what ESMEs submit, query and cancel, and the receipts they get."""
