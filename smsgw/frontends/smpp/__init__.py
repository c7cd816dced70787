"""The front end for ESMEs: submissions, queries, cancellations, receipts."""
