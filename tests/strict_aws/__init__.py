"""A strict AWS to test against: AWS's refusals, delays and rewriting, over an emulator that lacks them. See README.md.

Three rooms, each knowing only those before it: `rules` (pure: what AWS refuses, with its code, message and status),
`judge` (pure: who may do what), `layer` (one request in, one answer out, over any upstream). Two fronts put the layer
before an emulator: `moto_front` in this process, `http_front` as a server.
"""
