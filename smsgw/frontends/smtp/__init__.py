"""The front end for mail programs: submission, contact lists, STATUS."""
