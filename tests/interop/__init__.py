"""The real program with clients and servers of other projects."""
