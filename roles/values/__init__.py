"""Small values that validate themselves once, at the edge: account ids, ARNs, names, prefixes, credentials.

Pure: imports only `roles.errors`.
"""
