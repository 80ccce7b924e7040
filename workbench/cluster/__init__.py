"""Searches that many processes carry out, here or on other machines: logs in ranges, and a cluster that takes them."""
